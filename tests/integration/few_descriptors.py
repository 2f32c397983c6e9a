"""A service in a process that may have 512 descriptors: ``python -m tests.integration.few_descriptors order``."""

import resource
import runpy
import sys

resource.setrlimit(resource.RLIMIT_NOFILE, (128, 512))
runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__")
