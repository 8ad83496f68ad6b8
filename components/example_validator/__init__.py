"""ExampleValidator: whether the images match the schema, and what changed since production was trained."""
