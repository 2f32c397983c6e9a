"""The four services. They share only `schemas` and `eventbus`."""
