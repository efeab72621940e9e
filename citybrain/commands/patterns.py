"""The files that `citybrain city new` and `citybrain domain new` write, with `$word` where the command knows better."""

CITY = """\
# What makes this city different from another. `citybrain check --city FOLDER` explains every mistake.
[pack]
version = 1                   # of this format

[city]
code = $code                  # any text; the row of level `city` in divisions.csv has it too
name = $name
name_en = $name
timezone = $timezone          # IANA name, such as America/New_York; working time and case numbers follow it
default_datum = "wgs84"       # of coordinates unless a source says otherwise: wgs84, cgcs2000, gcj02, bd09, epsg:NNNN
crs = $crs                    # a projected system in metres, such as EPSG:26985: distances are measured in it
envelope = $envelope          # west, south, east, north in degrees, a little larger than the city
placeholders = []             # [[lng, lat], …]: coordinates that mean "none" in this city's data
snap_m = 50                   # a point this far outside the city is taken to its edge, and says so
near_m = 10                   # this near an edge the neighbours are named
boundaries_date = "2026-01-01"   # the boundaries hold since then

# Which of county, town, village, cell the city has, coarse to fine, and how they are called here. Levels are positions,
# not ideas: wards may be `county`, precincts `town`.
[levels]
nested = $nested              # false where a division of one level runs across several of another
$levels

[working_time]
days = ["mon", "tue", "wed", "thu", "fri"]
hours = ["08:30-12:00", "13:00-17:00"]   # "00:00-24:00" is round the clock

[webhooks]
allow = []                    # private networks that webhooks may reach, such as "10.20.0.0/16" or "10.20.1.5:8443"

[coverage]
window_days = 30

[casework]                    # what is left out is as docs/casework.md says
acceptance_minutes = 15       # a case in triage; the centre's clocks run day and night
dispatch_minutes = 15         # a case filed or returned
returns = 2                   # then it is supervised, and the next department cannot return it
extension = { most = 2, limits = 1.0 }   # each adds at most so many of the original limit
suspension_days = 365
"""

DEPARTMENTS = """\
# Who answers for what. A department answers for its `duties` in its `divisions` and all below them; without `duties`,
# for whatever its domains ask for. `citybrain check` says which event types still find no department, and where.

[[department]]
code = "city-hall"
name = "City hall"
name_en = "City hall"
level = "city"                # whose department it is: city, county, town, village or cell
divisions = [$code]           # codes of divisions.csv
domains = $domains

# A department with duties of its own, below the one above:
# [[department]]
# code = "roads"
# name = "Roads department"
# name_en = "Roads department"
# level = "city"
# divisions = [$code]
# domains = ["grid"]
# duties = ["municipal", "transport"]
# parent = "city-hall"

# A series, one for each division of a level; {division} and {name} stand for the division's code and name:
# [[department]]
# code = "office-{division}"
# name = "Office of {name}"
# name_en = "Office of {name}"
# level = "town"
# each = "town"
# domains = ["grid"]
# duties = ["city_management"]
# parent = "city-hall"
"""

INDUSTRIES = """\
# The registry behind the coverage indicator: which government industries there are, and what is declared of each.

[registry]
begins = 2026-01-01           # no figure before this day
default_basis = "all"

# A basis is a denominator that one can defend: the industries it counts, and who says so.
[[basis]]
code = "all"
name = "全部行业"
name_en = "All industries"
source = "the document that lists them"
industries = ["governance"]

[[industry]]
code = "governance"
name = "基层治理"
name_en = "Community governance"
basis = "the passage that names it"
domains = $domains

# A declaration needs an approver:
# [[industry.declared]]
# level = "city"              # city, county, town or village
# divisions = [$code]
# from = 2026-01-01
# approver = "who approved it"
"""

CALENDAR = "date,kind\n"

BOUNDARIES = """\
# Boundaries

One file a level of `city.toml`: `county.geojson`, `town.geojson` … (or `.gpkg`). WGS-84, longitude first, valid
polygons that do not overlap within a level. Every polygon has three fields:

| field | holds |
|---|---|
| `code` | the division's code in `divisions.csv` |
| `name` | its name |
| `source` | `surveyed`, `published`, `approximate` or `generated`; the last two are shown as such |

A polygon that the scaffold wrote covers the whole envelope and is marked `generated`: replace it by your own.
"""

DOMAIN = """\
# What is reported in this domain, who answers for it and how soon. `citybrain check` proves that every example reaches
# its own type and no type of another domain.

[domain]
code = "$code"                # the folder's name; events are posted with it, and it has a queue of its own
name = $name
name_en = $name_en
version = "1.0"

[[type]]
code = "$code.example"        # the domain's code, a dot, a word
name = "示例事件"
name_en = "An example to replace"
class = "示例"                # groups types in lists
terms = ["示例事件", "$code example"]   # how people write it; "甲&乙" asks for both, wherever they stand
without = []                  # words that say it is something else
grade = 4                     # 1 Ⅰ gravest … 4 Ⅳ
limit = { amount = 2, unit = "working_days" }   # minutes, hours, days, urgent_hours; working_hours, working_days
duty = "$duty"                # a duty that some department of the city has; default: the domain's code
level = "county"              # the department is looked for here, then upward: cell, village, town, county, city
assist = []                   # duties of departments that help
examples = ["这里有一个示例事件", "a $code example was seen here"]

# A rule finds a type by attributes, where devices speak instead of people:
# [[rule]]
# code = "over_limit"
# type = "$code.example"
# when = [{ attribute = "value", op = ">", other_attribute = "limit" }]

# A condition sharpens a type that was found: another limit, a graver grade, help.
# [[condition]]
# code = "hurt"
# name = "有人受伤"
# types = ["$code.example"]
# terms = ["受伤", "住院"]
# grade = 2
# assist = ["health"]
"""

HANDLER = '''\
"""$plain: the rules of domain.toml alone decide. What they cannot see from words and attributes is worked out here."""

from collections.abc import Sequence

from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context)
'''
