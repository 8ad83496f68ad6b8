from examples import example_files, transform_output  # noqa: F401  fixtures
