"""What stock agencies want, as data: one TOML file an agency, with where each rule comes from.

Nothing about an agency stands in code; what is done with the rules is the business of `stock`.
"""
