"""`python -m vedit`: the command line, as torchrun starts it."""

from vedit.cli import main  # noqa: TID251 - this is the command line

if __name__ == "__main__":
    main()
