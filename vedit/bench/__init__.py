"""How fast this machine is: every kind of work that vedit does, the fast path against the plain reference, in turn within one run."""

from vedit.bench.flops import useful_flops
from vedit.bench.machine import Machine
from vedit.bench.measuring import bench
from vedit.bench.process import BenchError
from vedit.bench.rows import Report, Row
from vedit.bench.sizes import CONFIGS, Size
from vedit.bench.tasks import TASKS

__all__ = ["CONFIGS", "TASKS", "BenchError", "Machine", "Report", "Row", "Size", "bench", "useful_flops"]
