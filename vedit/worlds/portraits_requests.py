"""What people say to change a portrait, by topic and side: requests that name the change and not the picture."""

from __future__ import annotations

from vedit.worlds.requests import Asked, Turn, Words, gathered, listed, turn

_PHRASES: dict[str, Words] = {
    "age+": listed("""
        older; much older; make {him} older; make {him} look older; age {him}; add years; add thirty years; add forty years to {him}; an older
        face; {he} has aged; in {his} sixties; in {his} seventies; in {his} eighties; in {his} old age; sixty years old; seventy years old;
        eighty years old; a pensioner; a grandfather; a grandmother; like a grandparent; as a senior citizen; {he} after many years; many
        years later; decades older; wrinkle {his} skin; add wrinkles; give {him} wrinkles; turn {him} into an old man; turn {him} into an old
        woman; {him} as an old lady; retired; advanced in years; let {him} grow old; past retirement; {he} is ageing; a bit older; twice as
        old; turn {him} into a grandma; turn {him} into a grandpa; a granny; a grandad; as a grandma; as a grandpa; {he} as a grandparent; an
        elder; an old timer; a hundred years old; ninety years old; {he} at ninety; in {his} nineties; weathered skin; a weathered face; lines
        on {his} face; more wrinkles; deep wrinkles; crow's feet; a lined face; {him} in forty years; {him} when {he} is old; make {him}
        ancient; an old man; an old woman; an old lady; an old guy; an old folk; show {him} as an elder; fast forward fifty years; {he} grew
        old; getting old; old age; ageing
    """),
    "age-": listed("""
        younger; much younger; make {him} younger; make {him} look younger; take years off {him}; take twenty years off; take forty years off
        {him}; a younger face; as a teenager; as a youth; in {his} twenties; in {his} teens; twenty years old; eighteen years old; young
        again; rejuvenate {him}; without wrinkles; remove the wrinkles; smooth out the wrinkles; take {his} wrinkles away; wrinkle-free; a
        boy; a girl; a young man; a young woman; a young lady; a student; fresh-faced; turn back the years; decades younger; undo the ageing;
        less old; not old at all; a bit younger; lose ten years; half as old; back in {his} youth; a kid; a teen; a child; a boyish face; a
        girlish face; baby-faced; baby face; a baby face; as a child; as a kid; a schoolboy; a schoolgirl; a college student; an adolescent; a
        youngster; {him} when {he} was young; {him} twenty years ago; {him} years ago; back when {he} was a teenager; give {him} {his} youth
        back; iron out the wrinkles; a facelift for {him}; give {him} a facelift; erase {his} wrinkles; in the prime of youth; make {him} a
        teenager; knock off some years; take a few decades off; young and fresh; youth; turn back the clock; turn the clock back; as {he} was
        in college; like in college; like {he} did in college; a fresh twenty-something face; a twenty-something; too many wrinkles; {he} has
        too many wrinkles; back to {his} school days; as {he} looked years ago; like {he} used to look
    """),
    "age0": listed("in {his} forties; in {his} fifties; forty years old; fifty years old; neither young nor old; a grown-up; an adult"),
    "beard+": listed("""
        grow a beard; let {his} beard grow; let {him} grow a beard; a bushy beard; a big beard; a long beard; a big bushy beard; whiskers; a
        hairy face; cover {his} chin with a beard; more beard; a thicker beard; a fuller beard; make the beard thicker; beard and moustache;
        stop shaving; unshaven for months; facial hair on {him}; a lumberjack beard; hair on {his} chin; stubble all over {his} chin; some
        stubble; a bearded man; a bearded guy; a heavier beard; a goatee; bristles; scruffy; a scruffy face; let {him} be scruffy; sideburns
        and a beard; a hipster beard; a wizard's beard; a santa beard; a viking beard; throw in a beard; {he} hasn't shaved in weeks; {he}
        hasn't shaved for a month; {he} forgot to shave; throw away the razor; a beard on {him}; a mighty beard; slap a beard on {him}; beard
        please; a mustache and a beard; a thick mustache; a massive beard; a proper beard; a furry face
    """),
    "beard-": listed("""
        shave {him}; shave off {his} beard; shave {his} face; remove the beard; remove {his} beard; take the beard off; take off {his} beard;
        get rid of the beard; lose the beard; no facial hair; without facial hair; freshly shaven; a smooth chin; a bare chin; the beard is
        gone; drop the beard; away with the beard; {he} has shaved; a shaved face; not bearded; no whiskers; without a moustache; less beard;
        {he} needs a shave; a proper shave; get {him} shaved; no stubble; clean-shaven man; clean-cut; bring the razor; use a razor on {him};
        shaved clean; a clean shave; smooth cheeks; smooth-cheeked; ditch the beard; the beard has to go; trim the beard away; no mustache; no
        goatee; baby-smooth cheeks; bare cheeks; chop off the beard; {he} just shaved; a fresh shave; hairless chin; shave it all off {his}
        face
    """),
    "beard0": listed("some stubble on {his} chin; unshaven; a five o'clock shadow; a trimmed beard; a few days without shaving"),
    "makeup+": listed("""
        put makeup on {him}; put {his} makeup on; put lipstick on {him}; more makeup; add makeup; lipstick and blush; blush on {his} cheeks;
        rosy cheeks; red cheeks; painted lips; red lips; make {his} lips red; eyeliner; mascara; eyeshadow; lipstick and eyeshadow; glamorous;
        make-up for {him}; a made-up face; dolled up; a lot of makeup; stronger makeup; colour on {his} lips; ready for the stage; cosmetics
        on {his} face; heavier makeup; do {his} makeup; lip gloss; foundation and blush; a glam look; glam {him} up; smoky eyes; smokey eyes;
        party makeup; bold lipstick; crimson lips; scarlet lips; put some blusher on {him}; powder {his} cheeks; a makeover; give {him} a
        makeover; a fully made-up face; {his} lips painted red; red lipstick; pink lipstick; made up for a party; a dab of lipstick; rouge;
        tart {him} up; like a beauty queen; fancy makeup; a touch of makeup; some makeup; a bit of lipstick
    """),
    "makeup-": listed("""
        remove the makeup; remove {his} makeup; take off the makeup; take {his} makeup off; take the lipstick off; wash off the makeup; wash
        {his} face; a bare face; bare-faced; no cosmetics; without cosmetics; a natural look; natural lips; without lipstick; no lipstick;
        less makeup; get rid of the makeup; lose the makeup; no eye shadow; no make-up at all; {he} wears no makeup; not made-up; plain face;
        au naturel; ditch the makeup; scrub off the makeup; scrub {his} face clean; wipe off the lipstick; wipe the makeup off; wipe the
        lipstick off; bare lips; no lip gloss; no eyeliner; no mascara; no blush; no foundation; without eyeliner; unadorned; a natural face;
        makeup-free; tone down the makeup; tone the makeup down; too much makeup; {he} wears too much makeup; cleanse {his} face; a bare face
        only; only {his} bare face; nothing on {his} face; no foundation at all; too much foundation; get that foundation off
    """),
    "skin_light": listed("""
        paler; a paler face; make {his} skin paler; paler skin; lighter skin; lighten {his} skin; make the skin lighter; fairer skin; a pale
        complexion; a fair complexion; a light complexion; a lighter complexion; white skin; whiter skin; a lighter skin tone; light skin
        tone; no tan; pale as snow; less tanned; turn {his} skin white; porcelain skin; ivory skin; ghostly pale; a ghostly face; pallid; an
        ashen face; milky skin; white as a sheet; a white person; a white man; a white woman; a caucasian person; a northern complexion;
        bleach {his} skin; make {him} pale; make {him} white; light-skinned; never goes out in the sun; someone who never sees the sun; out of
        the sun for years
    """),
    "skin_tan": listed("""
        tan {him}; a suntan; a tanned complexion; a bit of a tan; sun-kissed skin; an olive complexion; bronzed; bronze skin; caramel skin; a
        holiday tan; {he} has caught some sun; golden skin; a light tan
    """),
    "skin_brown": listed("""
        brown complexion; a browner skin; make {his} skin brown; a brown skin tone; a deep tan; a brown-skinned person; mocha skin; cocoa
        skin; chestnut skin; an indian complexion
    """),
    "skin_dark": listed("""
        darker; darker skin; make {his} skin darker; darken {his} skin; a dark complexion; a darker complexion; much darker skin; black skin;
        deep brown skin; a darker skin tone; a dark skin tone; a black person; a black man; a black woman; very dark skin; turn {his} skin
        dark; an African complexion; deep dark skin; ebony skin; chocolate skin; a black guy; a black lady; make {him} black; an african man;
        an african woman; deeply dark skin; much more melanin; make {his} complexion much darker; deep brown complexion; rich dark skin; dark
        as night skin; a deeper complexion; a much deeper complexion; deeper skin; a deep complexion; much deeper skin tone; deepen {his} skin
        tone; give {him} darker skin
    """),
    "glasses+": listed("""
        put glasses on {him}; put {his} glasses on; put on glasses; add glasses; give {him} glasses; {he} needs glasses; reading glasses; a
        pair of glasses; a pair of spectacles; with specs on; wearing specs; let {him} wear glasses; make {him} wear glasses; could {he} wear
        glasses?; what if {he} wore glasses; {he} wears glasses; {he} wears spectacles; eyewear; dark frames; thick glasses; glasses on {his}
        nose; should wear spectacles; shades; sunglasses; put shades on {him}; cool shades; horn-rimmed glasses; nerdy glasses; nerd glasses;
        bifocals; round glasses; glasses for {him}; {he} can't see without glasses; {he} is short-sighted; near-sighted; make {him}
        bespectacled; give {him} specs; slap some glasses on {him}; lenses; some glasses; a nice pair of glasses; {he} forgot {his} glasses so
        put them on; spectacles on {his} nose; frames on {his} face; sent to the optician
    """),
    "glasses-": listed("""
        take {his} glasses off; take the glasses off; take off {his} glasses; take off the spectacles; take {his} spectacles off; remove the
        glasses; remove {his} spectacles; get rid of the glasses; lose the glasses; without spectacles; without eyeglasses; no spectacles; no
        eyewear; no specs; drop the glasses; the glasses are gone; away with the glasses; {he} wears no glasses; {he} does not need glasses;
        not bespectacled; put {his} glasses away; contact lenses; {he} has switched to contacts; lose the eyewear; without the eyewear; no
        lenses on {his} nose; no shades; no sunglasses; ditch the glasses; ditch the specs; ditch the spectacles; whip off the glasses; {he}
        took {his} glasses off; {he} took off {his} glasses; contacts; {he} wears contacts; contact lenses instead of glasses; nothing on
        {his} nose; an unobstructed face; {his} eyes without glasses; perfect eyesight; laser eye surgery; glasses off; specs off; lose the
        frames; no frames; drop the frames; take the frames off; contacts since last month so no glasses; {he} switched to contacts; {he}
        swapped glasses for contacts
    """),
    "long": listed("""
        longer hair; much longer hair; grow {his} hair; let {his} hair grow; grow {his} hair long; make {his} hair longer; make {his} hair
        long; shoulder-length hair; hair past {his} shoulders; hair over {his} shoulders; long locks; a long mane; hair that falls on {his}
        shoulders; lengthen {his} hair; long flowing hair; {he} has let {his} hair grow; no haircut for years; more hair at the sides;
        long-haired; hair that comes past {his} shoulders; hair down to {his} waist; waist-length hair; hair reaching {his} waist; hair down
        {his} back; hair reaching {his} shoulders; flowing locks; flowing hair; long tresses; hair like a princess; hair like rapunzel; a rock
        star's hair; hippie hair; let {his} hair down; hair extensions; give {him} extensions; grow it out {his} hair; grow out {his} hair;
        {he} needs longer hair; really long hair; super long hair
    """),
    "short": listed("""
        shorter hair; much shorter hair; cut {his} hair; cut {his} hair short; a haircut; a short haircut; a cropped haircut; crop {his} hair;
        trim {his} hair; a crew cut; a buzz cut; make {his} hair shorter; make {his} hair short; send {him} to the barber; shorten {his} hair;
        take some length off {his} hair; {he} has cut {his} hair; a short hairstyle; not so long hair; a short cut; a pixie cut; a bob; an
        undercut; a military haircut; an army haircut; clipped hair; close-cropped hair; chop off {his} hair; chop {his} hair; a short back
        and sides; snip {his} hair; {he} got a haircut; {he} got {his} hair cut; tidy short hair; trimmed hair; neatly cropped; lop off {his}
        hair; really short hair; super short hair; hair cropped close
    """),
    "bald": listed("""
        make {him} bald; shave {his} head; a shaved head; no hair; no hair at all; hairless; remove {his} hair; without hair; {he} has lost
        {his} hair; let {him} lose {his} hair; take {his} hair off; a bald man; a bald guy; less hair; {he} goes bald; a bald patch; get rid
        of {his} hair; baldness; completely hairless; a smooth head; a skinhead; thinning hair; receding; going bald; {he} went bald; shave it
        all off {his} head; bald as an egg; bald as a coot; a shiny head; a hairless head; not a hair on {his} head; a shiny bald head; a
        chrome dome; remove all {his} hair
    """),
    "grey": listed("""
        turn {his} hair grey; make {his} hair white; greying; going grey; let {his} hair turn grey; grey locks; silver locks; a grey head;
        salt and pepper hair; salt and pepper; snowy hair; snow-white hair; ash grey hair; {his} hair has gone grey; {his} hair turned white;
        greyer hair; grey hair; silvery hair; hair grey with age
    """),
}

_TURNS: dict[str, Turn] = {
    "age+": turn("{he}", "older; elderly; old", "young; youthful"),
    "age-": turn("{he}; {his} face", "younger; young; smooth", "old; wrinkled; aged; elderly"),
    "beard+": turn("{his} beard; the beard", "fuller; thicker; longer; bushier", "short; thin"),
    "beard-": turn("{his} face; {his} chin", "smooth; bare; shaved", "hairy; bearded; stubbly"),
    "makeup+": turn("{his} lips; {his} makeup", "redder; red; stronger; bolder", "pale; plain"),
    "makeup-": turn("{his} face; {his} look", "natural; bare; plain; without makeup", "made-up; painted"),
    "skin_light": turn("{his} skin; {his} complexion; {his} face", "paler; lighter; fairer; pale; light; fair", "dark; tanned; brown"),
    "skin_dark": turn("{his} skin; {his} complexion; {his} face", "darker; dark; browner; black", "pale; light; white; fair"),
    "long": turn("{his} hair", "longer; long", "short; cropped"),
    "short": turn("{his} hair", "shorter; short; cropped", "long"),
    "bald": turn("{his} head; {he}", "bald; bare; hairless; shaved", "hairy"),
}

_LACKS: dict[str, Words] = {
    "beard-": listed("beard; beard; facial hair; moustache; stubble; whiskers"),
    "makeup-": listed("makeup; makeup; make-up; lipstick; cosmetics; blush; rouge"),
    "glasses-": listed("glasses; glasses; spectacles; eyeglasses; specs"),
    "age-": listed("wrinkles; wrinkle"),
    "bald": listed("hair"),
}

ASKED: dict[str, Asked] = gathered(_PHRASES, _TURNS, _LACKS)

HAIR: dict[str, Words] = {
    "blond": listed("""
        a blonde; a blond; turn {him} into a blonde; as a blonde; make {him} blonde; bleach {his} hair; sun-bleached hair; lighter hair; a
        blond man; a blonde woman; yellow hair; light hair; platinum hair; platinum blonde; flaxen hair; sandy hair; honey blonde; golden
        locks; bleached hair; {he} bleached {his} hair; go blonde; {he} goes blonde; a blonde bombshell; make it blonde; straw-coloured hair;
        hair like straw; surfer hair; hair as light as wheat; {him} as a blond
    """),
    "red": listed("""
        a redhead; turn {him} into a redhead; as a redhead; auburn hair; a ginger; copper hair; fiery hair; fiery red hair; make {him} ginger;
        carrot hair; rust-coloured hair; rusty hair; hair like fire; flaming hair; fire-red hair; strawberry hair; a ginger head; go ginger;
        {he} goes ginger; a ginger man; a ginger woman; a flame-haired person; hair as red as a fox; {him} as a ginger; titian hair; hair like
        copper; hair like a carrot; reddish hair; redder hair
    """),
    "black": listed("""
        jet black hair; raven hair; jet black; darker hair; darken {his} hair; hair as black as coal; pitch black hair; raven-haired; ebony
        hair; hair like coal; hair as black as night; raven locks; inky hair; midnight hair; charcoal hair; black as coal; blacker hair; go
        jet black; {he} dyed it black {his} hair; gothic black hair
    """),
    "brown": listed("""
        a brunette; brunette; as a brunette; turn {him} into a brunette; chestnut hair; brunette hair; hazel hair; chocolate hair; mousy hair;
        mahogany hair; go brunette; {he} goes brunette; a brunette woman; make {him} a brunette; {him} as a brunette; hair like chestnuts;
        browner hair; nut-brown hair; brownish hair; coffee hair
    """),
}

COLOURED: dict[str, Words] = {
    "hair": listed("""
        dye {his} hair {x}; dye it {x} the hair; colour {his} hair {x}; {x} locks; make {his} hair {x}; turn {his} hair {x}; change {his} hair to {x};
        change {his} hair colour to {x}; {his} hair in {x}; {x} for {his} hair; paint {his} hair {x}; could {his} hair be {x}?; what if {his} hair was
        {x}; hair dyed {x}; {his} hair should be {x}; a {x} hair colour; go {x} with {his} hair; {his} hair {x}
    """),
    "eyes": listed("""
        make {his} eyes {x}; turn {his} eyes {x}; change {his} eyes to {x}; change the eye colour to {x}; {x} irises; {his} eyes in {x}; {x} for {his}
        eyes; {his} eyes should be {x}; could {his} eyes be {x}?; what if {his} eyes were {x}; a {x} eye colour; {x} contact lenses; eyes of {x};
        {his} eyes {x}; a pair of {x} eyes; bright {x} eyes; deep {x} eyes; colour {his} eyes {x}
    """),
    "shirt": listed("""
        change {his} top to {x}; change {his} shirt to {x}; change the colour of {his} shirt to {x}; dress {him} in {x}; put {him} in a {x} shirt; put
        a {x} sweater on {him}; make {his} shirt {x}; make {his} top {x}; turn {his} jumper {x}; {x} clothes; colour {his} sweater {x}; clothed in
        {x}; wearing {x}; {his} t-shirt should be {x}; a {x} tee; swap that tee for a {x} one; swap {his} top for a plain {x} one; a plain {x}
        t-shirt; could {his} shirt be {x}?; what if {his} t-shirt was {x}; {x} for {his} shirt; a {x} blouse; dressed in a {x} top; dressed in a {x}
        shirt; let {him} wear {x}; {he} wears a {x} pullover; recolour {his} shirt {x}; paint {his} top {x}; {his} clothes in {x}; swap {his} shirt
        for a {x} one
    """),
    "background": listed("""
        make the background {x}; make the wall {x}; change the background to {x}; change the backdrop to {x}; put {him} in front of a {x} wall; put
        {him} against a {x} background; a {x} wall behind {him}; a {x} backdrop behind {him}; a {x} background behind {him}; paint the wall {x}; {x}
        behind {him}; turn the wall {x}; turn the background {x}; the background in {x}; {x} for the wall; standing in front of a {x} wall; standing
        before a {x} wall; sitting in front of {x}; could the wall be {x}?; what if the background was {x}; the wall should be {x}; a {x} room; colour
        the background {x}; recolour the backdrop {x}; the wall behind {him} is {x}; with a {x} wall at the back
    """),
}


def coloured(thing: str, names: Words) -> Words:
    """Requests for a thing in a colour of these names."""
    return tuple(frame.replace("{x}", name) for frame in COLOURED[thing] for name in dict.fromkeys(names))


_CONTRASTS = listed("""
    {r}, not {o}; {r} and not {o}; {r} rather than {o}; {r} instead of {o}; not {o}, {r}; not {o}, {r} instead; not {o} but {r}; instead of {o}, {r}; no
    {o}, {r}; no more {o}, {r}; no longer {o}, {r}; I don't like {o}, {r}; it's {o} now, {r}; {o} is wrong, {r}; {r}, I'm tired of {o}
""")


def contrasted(others: Words) -> Words:
    """Frames of a request `{r}` for a colour, beside another one that is not wanted any more."""
    return tuple(frame.replace("{o}", other) for frame in _CONTRASTS for other in dict.fromkeys(others))
