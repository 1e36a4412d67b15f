"""What may stand in a column of an agency's table, and in what form.

A specification names these values; `packaging.tables` takes them from what is submitted.
"""

VALUES = {
    "file_name": "The file's name over there, with its extension.",
    "title": "The title.",
    "description": "The description.",
    "keywords": "All keywords, the most important first, with `keyword_separator` between them.",
    "categories": "The agency's codes of the categories, with `list_separator` between them.",
    "category_names": "The names of the categories, with `list_separator` between them.",
    "category_1": "The code of the first category.",
    "category_2": "The code of the second category, empty without one.",
    "category_3": "The code of the third category, empty without one.",
    "releases": "The names of all releases, with `list_separator` between them.",
    "model_releases": "The names of the model releases.",
    "property_releases": "The names of the property releases.",
    "has_model_release": "`yes` with a model release, else `no`.",
    "has_property_release": "`yes` with a property release, else `no`.",
    "editorial": "`yes` for editorial use, `no` for commercial use, empty while nobody said.",
    "usage": "`commercial` or `editorial`, empty while nobody said.",
    "mature": "`yes` or `no`, empty while nobody said.",
    "illustration": "`yes` or `no`, empty while nobody said.",
    "generated": "`yes` when a model made the picture, `no` when not, empty while nobody said.",
    "people": "How many people are to be seen, empty while nobody said.",
    "city": "The city, in English.",
    "region": "The state, province or region, in English.",
    "country": "The country, in English.",
    "country_code": "The country's code of two letters (ISO 3166-1 alpha-2).",
    "date": "When it was taken, in the table's `date_format`.",
    "price": "The price in US dollars, empty without one.",
    "creator": "Who made it.",
    "copyright": "The copyright notice.",
}
"""Each value that a column can have, and what that is."""
