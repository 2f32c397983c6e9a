"""How fast this project is, beside what bare loops and other libraries do: ``make bench``. README.md explains it."""
