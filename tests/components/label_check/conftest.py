from examples import transform_output  # noqa: F401  fixture
