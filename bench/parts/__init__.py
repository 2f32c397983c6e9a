"""The measurements of single parts, of other libraries, and of very many orders."""
