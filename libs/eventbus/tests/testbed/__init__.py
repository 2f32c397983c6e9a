"""What several tests of the library need."""
