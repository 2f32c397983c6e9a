"""The measurements of the whole system: each module makes one or more rows of the table."""
