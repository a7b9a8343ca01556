"""What people say to change a sky, by topic and side: requests that name the change and not the picture."""

from __future__ import annotations

from vedit.worlds.requests import Asked, Turn, Words, gathered, listed, turn

_PHRASES: dict[str, Words] = {
    "night": listed("""
        make it night; turn it into night; turn day into night; let night fall; after dark; at midnight; at night; nighttime; by night; how
        about midnight; bring on the night; the middle of the night; late at night; turn out the light; in the dead of night; as if it were
        midnight; darker; make it dark; a dark sky; let it get dark; no daylight; a night scene; in darkness; under the stars; long after
        sunset; pitch dark; darkness everywhere; dark all over; starry; a starlit sky; starlight; moonless; nocturnal; lights out; switch off
        the light; pitch black; black sky; the sun has long set; make it late; nightfall; the night falls; a dark night; I want to see stars;
        let me see the stars; add stars; stars above; blackness; after midnight; the witching hour; let there be night; as dark as can be;
        turn off the daylight
    """),
    "dusk": listed("""
        at sunset; make it evening; let the sun set; turn it into a sunset; the golden hour; at dusk; in the evening; a setting sun; at dawn;
        sunrise; an evening glow; as the sun goes down; make it twilight; early evening; the end of the day; sundown; nightfall soon; a
        romantic sunset; the sun is setting; the sun is rising; daybreak; sunrise please; let the sun rise; an orange sky; a pink sky; a red
        sky; sunset colours; gloaming; just before dark
    """),
    "day": listed("""
        make it day; make it daytime; turn night into day; turn it into day; by day; in broad daylight; let it be day; bring back the
        daylight; bring the day back; in the daytime; in full daylight; as if it were day; a day scene; during the day; lighter; a bright day;
        not night; end the night; no darkness; not after dark; no longer night; daytime; the middle of the day; bring the morning; let there
        be light; let there be daylight; wake up it's morning; turn on the lights; switch on the light; light it up; the day breaks; day
        breaks; full day; it should be day; a sunlit day; no stars; bright daylight; illuminate the scene; daytime please; a day like any
        other; noon light; turn the night into day; turn this night into day; make the night bright
    """),
    "cloudy": listed("""
        more clouds; add clouds; add more clouds; cover the sky with clouds; cover the sky in cloud; cover everything with clouds; fill the
        sky with clouds; make it cloudy; make it overcast; cloudier; a cloudier sky; a grey day; a gloomy day; a gloomy sky; a dull sky; a
        dull grey sky; a grey overcast sky; bad weather; clouds everywhere; a sky full of clouds; the whole sky cloudy; let clouds come up;
        thicker clouds; bring clouds; an overcast afternoon; an overcast morning; a blanket of clouds; close the sky with clouds; rain clouds;
        let the clouds roll in; cloud it over; some more clouds; a few more clouds; a few clouds; needs a few more clouds; bring in some
        clouds; really overcast; fluffy clouds; puffy clouds; add puffy clouds; woolly clouds; lots of clouds; lots more clouds; loads of
        clouds; tons of clouds; plenty of clouds; cumulus clouds; storm clouds; stormy; a stormy sky; a storm is coming; bad weather coming;
        grey skies; gray skies; dreary; a dreary day; leaden skies; a leaden sky; dense clouds; heavy cloud; more cloud cover; heavier cloud
        cover; clouds rolling in; cloud up the sky; make it gloomy; the sky clouds over; clouding over; it's going to rain; about to rain;
        drizzle weather; miserable weather; big clouds; white clouds; a cloudy afternoon; hide the blue with clouds
    """),
    "clear": listed("""
        remove the clouds; remove all clouds; clear the sky; clear the clouds away; no clouds at all; fewer clouds; less cloud; not a cloud;
        not one cloud; not a cloud to be seen; get rid of the clouds; blow the clouds away; without a single cloud; without clouds; take the
        clouds away; the clouds are gone; an empty sky; a sky free of clouds; cloud-free; fine weather; lose the clouds; away with the clouds;
        a perfectly clear sky; let it clear up; zero clouds; make it cloudless; no cloud anywhere; blue skies; a blue sky; clear blue sky;
        clear skies; spotless sky; an unclouded sky; a flawless sky; nothing but blue sky; no clouds in sight; not a cloud in the sky; not one
        cloud in sight; no clouds whatsoever; wipe the clouds away; sweep the clouds away; chase the clouds away; fewer clouds please; lovely
        weather; good weather; beautiful weather; great weather; nice weather; get the clouds out of the way; an open sky; bare sky; the
        clouds have gone; the clouds disappear; make the clouds disappear; ditch the clouds
    """),
    "sun+": listed("""
        make the sun brighter; a brighter sun; brighten the sun; let the sun shine; let the sun shine brightly; make the sun shine; more
        sunshine; more sun; more sunlight; blinding sun; a strong sun; a stronger sun; turn up the sun; sunnier; make it sunny; make the sun
        blaze; make the sun dazzle; the sun shining; full sun; intense sunlight; a fierce sun; the sun blazes; bring out the sun; a glowing
        sun; add a bright sun; a powerful sun; sunlight everywhere; sunshine all over; a radiant sun; a brilliant sun; a beaming sun; a
        scorching sun; scorching; a hot sunny day; sunny weather; a fiery sun; sun please; let's have some sun; some sunshine; bring some
        sunshine; crank up the sun; make it shine; a gleaming sun; sunbeams; sun rays; rays of sunlight; a burning sun; an intense sun; the
        sun glaring; glorious sunshine; I need sunglasses the sun is so bright; brighter sunlight; a bold sun; a vivid sun; blazing hot
    """),
    "sun-": listed("""
        dim the sun; make the sun dimmer; a dimmer sun; a weak sun; a weaker sun; a faint sun; a fainter sun; a pale sun; a faded sun; hide
        the sun; weaken the sun; less sun; less sunshine; less sunlight; turn the sun down; turn down the sun; no sunshine; the sun is gone;
        the sun hardly shines; remove the sun; take the sun away; without sun; a dull sun; fade the sun; a sun that hardly glows; get rid of
        the sun; tone down the sun; tone the sun down; tone it down the sun glares; less glare; no glare; take the glare out; soften the sun;
        calm the sun down; a subdued sun; a muted sun; a gentle sun; a softer sun; softer sunlight; softer light from the sun; a mild sun;
        dimmed sunlight; the sun is blinding me; too sunny; it's too sunny; shade the sun; tame the sun; the sun less intense; make the sun
        less bright; cut the glare; reduce the glare; reduce the sun; cover up the sun; switch off the sun; turn off the sun; tone that sun
        down; the sun veiled; a sunless sky; no sun today; tone down the glare; tone down the glare of the sun; the sun hurts to look at; it
        hurts to look at the sun; the sun hurts my eyes; the glare hurts; a sun that doesn't hurt to look at
    """),
    "high": listed("""
        raise the sun; move the sun up; lift the sun; a higher sun; the sun higher up; put the sun higher; the sun higher in the sky; at noon;
        noon; midday; around midday; the sun overhead; the sun at its highest; the sun above us; the sun straight above; the sun at the top;
        send the sun up; high noon; push the sun up; the sun further up; move the sun further up; the sun sitting high; right up in the sky;
        the sun set high above the land; put the sun right up there; the sun way up; the sun at its zenith; zenith; let the sun climb; the sun
        climbs; the sun climbing; the sun climbing higher; a rising sun high above; make the sun rise higher; hoist the sun; the sun up high;
        midday sun; noonday sun; a noon sun; the sun over our heads; the sun directly overhead; the sun right overhead; the sun way up high;
        move the sun overhead; shift the sun up; shift the sun upwards; sun higher; elevate the sun; the sun should climb; up goes the sun;
        the sun towers above; high above the horizon; far above the horizon; the sun well above the horizon; lift the sun well above the
        horizon; lift the sun way up above the horizon; raise the sun far above the horizon; the sun up and away from the horizon; the sun up
        from the horizon; the sun far from the horizon; bring the sun up; take the sun up; higher up with the sun; the sun ought to stand
        higher; up with the sun; the sun so high that it is overhead
    """),
    "low": listed("""
        lower the sun; move the sun down; a lower sun; the sun lower down; put the sun lower; the sun lower in the sky; sink the sun; let the
        sun sink; bring the sun down; bring the sun down to the horizon; the sun close to the horizon; the sun just above the horizon; the sun
        touching the horizon; drop the sun towards the horizon; the sun at the bottom; the sun low over the land; pull the sun down; the sun
        further down; move the sun further down; the sun sitting low; the sun sitting near the horizon; the sun right down at the horizon;
        down near the horizon; the sun way down; the sun set low; the sun sinking; the sun sinking down; a sinking sun; the sun sinks; the sun
        sinks low; the sun dips; the sun dipping; let the sun dip towards the horizon; the sun dipping to the horizon; the sun descends; the
        sun descending; a descending sun; shift the sun down; shift the sun downwards; sun lower; the sun hugging the horizon; the sun at the
        skyline; the sun near the skyline; the sun almost touching the ground; the sun nearly at the horizon; the sun hanging low; a
        low-hanging sun; down goes the sun; the sun at horizon level; ease the sun down; the sun sitting lower; the sun a lot lower; down with
        the sun; the sun nearly down; almost touching the ground; the sun almost down at the horizon; a sun close to the ground; take the sun
        down; the sun low in the sky
    """),
    "left": listed("move the sun to the left; put the sun on the left; the sun further left; sun left"),
    "right": listed("move the sun to the right; put the sun on the right; the sun further right; sun right"),
    "aurora+": listed("""
        add an aurora; add northern lights; aurora borealis; northern lights above; let the northern lights dance; northern lights dancing;
        northern lights in the sky; polar lights in the sky; an aurora overhead; light up the sky with an aurora; more aurora; a stronger
        aurora; a brighter aurora; curtains of light; bands of northern light; an aurora over the land; an aurora glowing; the sky full of
        northern lights; bring on the northern lights; show the aurora; northern lights everywhere; polar lights all over the sky; an aurora
        everywhere; arctic lights; the lights of the north; green curtains of light; green lights in the sky; dancing lights; magical lights
        in the sky; a magical aurora; an arctic sky; borealis; aurora lights; a dancing aurora; shimmering lights; a shimmering aurora; polar
        lights please; some northern lights; I love northern lights; green waves of light; a spectacular aurora; more northern lights; glowing
        ribbons; ribbons of light
    """),
    "aurora-": listed("""
        remove the aurora; remove the northern lights; no polar lights; switch off the northern lights; turn off the aurora; without aurora;
        without northern lights; get rid of the northern lights; get rid of the aurora; take the aurora away; the aurora is gone; lose the
        aurora; away with the aurora; less aurora; a weaker aurora; fade the aurora; hide the polar lights; an ordinary sky without aurora; no
        borealis; no green lights; the green lights are gone; remove the green lights; lose the green lights; turn the green lights off; no
        shimmering lights; no dancing lights; ditch the aurora; ditch the northern lights; stop the northern lights; no more polar lights; no
        more northern lights; the northern lights fade away; only stars and no aurora; the sky without green; take the green ribbons out; take
        the lights in the sky out; the lights in the sky look fake; take out the aurora; take out the northern lights; a sky without ribbons
        of light; no ribbons of light; no glowing ribbons
    """),
    "mountains+": listed("""
        higher mountains; taller mountains; bigger mountains; add mountains; raise the mountains; make the mountains higher; make the
        mountains taller; tall mountains; tall peaks; mountains in the distance; peaks in the distance; mountains on the horizon; a mountain
        range; big mountains; steep mountains; hills; let mountains rise; peaks behind; a hilly landscape; make it mountainous; give it a
        mountain range; give it mountains; some big peaks; put mountains at the back; a mountainous landscape; high peaks; grow the mountains;
        mountains everywhere; peaks all around; alps; the alps; alpine; an alpine landscape; himalayas; a ridge; mountain ridges; summits; a
        rugged skyline; a rugged landscape; rocky peaks; jagged peaks; huge mountains; massive mountains; majestic mountains; towering peaks;
        I love mountains; some mountains; loads of mountains; a mountain or two; highlands; make the hills bigger; put a mountain there; a
        mountain in the distance; mountains far away; mountain scenery; cliffs; mountain tops; steeper mountains
    """),
    "mountains-": listed("""
        flat land; flatten the land; flatten the mountains; flatten the hills; flatten the landscape; remove the mountains; take the mountains
        away; lower mountains; smaller mountains; lower the mountains; a flat landscape; plains; a plain; no hills; no peaks; without
        mountains; make the land flat; get rid of the mountains; the mountains are gone; level the ground; an even horizon; lose the
        mountains; a prairie; prairie; the steppe; lowlands; level land; bulldoze the mountains; only flat land; only plains; nothing but flat
        land; no more hills; no more peaks; erase the mountains; no mountain at all; no mountain in sight; shrink the mountains; smaller
        hills; ditch the mountains; as flat as a pancake; flat as a pancake; a flat plain; flatlands; sink the mountains
    """),
    "sea+": listed("""
        flood the land; turn the land into water; turn the land into the sea; add a lake; add water; by the sea; at the seaside; replace the
        land with the sea; a sea below; make it the ocean; water in front; on the shore; more water; water everywhere; the coast; a coast; on
        the coast; at the coast; a bay; a beach; at the beach; waves; sea waves; the seashore; a seashore; the shoreline; an ocean view; a sea
        view; a lakeside; a pond; lots of water; turn it into a lake; swap the land for water; swap the fields for the sea; reflections in the
        water; let the sea come in; the tide comes in; flooded
    """),
    "sea-": listed("""
        dry land; remove the water; no sea; drain the lake; turn the water into land; solid ground; fields instead of water; get rid of the
        sea; take the water away; without water; dry up the sea; no ocean; no lake; no waves; only land; meadows; grassland; a meadow;
        farmland; ground instead of sea; swap the sea for land; swap the water for land; remove the lake; remove the ocean; remove the sea;
        the water is gone; the sea is gone; the tide goes out; all dry
    """),
    "haze+": listed("""
        make it foggy; make it misty; add fog; add mist; more mist; more fog; hazier; foggier; let mist come up; fog over the land; in the
        fog; shroud it in mist; thick fog; a misty scene; blur it with haze; mist everywhere; fog everywhere; fog all over the place; smog;
        murky; murky air; a murky scene; pea soup; a sea of fog; hazy weather; a hazy day; a foggy day; a foggy morning; a misty morning;
        steam; vapour; dense fog; dense mist; make it hazy; hazy air; you can hardly see a thing; poor visibility; low visibility; lots of
        fog; some mist; some fog; veil it in mist; everything in fog; fog rolls in; fog rolling in
    """),
    "haze-": listed("""
        clear the fog; no fog; no mist; remove the fog; remove the haze; lift the mist; crisp air; get rid of the fog; without fog; less haze;
        clean air; take the mist away; sharp and clear air; no haze; no smog; a crystal clear view; crystal clear; perfect visibility; good
        visibility; the fog lifts; the fog clears; blow away the fog; blow the mist away; remove the mist; lose the fog; lose the mist; ditch
        the fog; ditch the mist; fresh clear air; clear the haze; cut through the haze; clear the air; a sharp view; a clear view; a crisp
        view
    """),
}

_TURNS: dict[str, Turn] = {
    "night": turn("the sky; it; the scene", "darker; dark; black", "bright; light"),
    "day": turn("the sky; it; the scene", "lighter; light; bright", "dark; black; gloomy"),
    "cloudy": turn("the sky; the day", "cloudier; cloudy; greyer; covered; overcast; full of clouds", "clear; empty; cloudless"),
    "clear": turn("the sky; the day", "clearer; clear; cloudless; empty", "cloudy; overcast; grey; full of clouds"),
    "sun+": turn("the sun; the sunlight", "brighter; bright; stronger; blazing; dazzling", "weak; dim; faint; pale; hidden; dull"),
    "sun-": turn("the sun; the sunlight", "weaker; dimmer; fainter; paler; hidden; dim", "bright; strong; blazing; dazzling; glaring; harsh; blinding"),
    "high": turn("the sun; that sun", "higher; high; higher up; high up; up", "low; low down"),
    "low": turn("the sun; that sun", "lower; low; lower down; down; near the horizon", "high; high up; far up"),
    "aurora+": turn("the aurora; the northern lights", "brighter; stronger; there", "weak; faint"),
    "mountains+": turn("the mountains; the peaks; the hills", "higher; taller; bigger; steeper; high; tall", "low; small; flat; level"),
    "mountains-": turn("the land; the landscape; the horizon", "flatter; flat; even; level", "steep; hilly; mountainous"),
    "haze+": turn("the air; it; the scene", "mistier; foggier; hazier; misty", "clear; sharp"),
    "haze-": turn("the air; it; the scene", "clearer; sharper; free of fog", "foggy; misty; hazy"),
}

_LACKS: dict[str, Words] = {
    "day": listed("night; darkness; stars"),
    "clear": listed("clouds; clouds; cloud; cloudy; overcast"),
    "sun-": listed("sun; sunshine; sunlight"),
    "aurora-": listed("""
        aurora; northern lights; polar lights; green streaks; green lights; green glow; green ribbons; glowing ribbons; ribbons of light; dancing lights
    """),
    "mountains-": listed("mountains; mountain; peaks; hills"),
    "sea-": listed("sea; water; lake; ocean"),
    "haze-": listed("fog; mist; haze; foggy"),
}

ASKED: dict[str, Asked] = gathered(_PHRASES, _TURNS, _LACKS)
