"""Which topics there are, what they carry, and who writes and reads them: a page, and what the page is made from.

Everything comes from the declarations that the processes hold to (:class:`eventbus.Service`, its deciders) and from
the schema packages. So the page cannot say what the code does not do.
"""
