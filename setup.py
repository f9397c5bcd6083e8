"""The ROS-free core as a Python package, and the one list of what each use of it needs.

`./genego` reads `CORE` and `EXTRAS` from here (without setuptools), colcon ignores this file, and
constraints.txt pins the versions, those of indirect dependencies too.
"""

CORE = [
    "numpy>=1.26",
    # mediapipe requires this build of OpenCV; a second one beside it would overwrite its cv2.
    "opencv-contrib-python>=4.8",
    "numba>=0.60",
    "scipy>=1.11",
    "PyYAML>=6",
    "tqdm>=4.66",
    "safetensors>=0.4",
]

# ROS 2 Kilted as wheels, for a machine without ROS. The second group is what the wheels need to build
# interfaces but do not declare.
ROS_WHEELS = [
    "ros-kilted-rclpy",
    "ros-kilted-rmw-fastrtps-cpp",
    "ros-kilted-common-interfaces",
    "ros-wheels-bootstrapper",
    "ros-kilted-ament-cmake",
    "ros-kilted-ament-cmake-python",
    "ros-kilted-ament-cmake-pytest",
    "ros-kilted-rosidl-default-generators",
    #
    "ros-kilted-ament-package",
    "ros-kilted-ament-cmake-include-directories",
    "ros-kilted-ament-cmake-ros-core",
    "ros-kilted-rosidl-core-generators",
    "catkin-pkg",
    "colcon-common-extensions",
]

EXTRAS = {
    "cpu": ["torch==2.13.0", "mediapipe>=1.2", "open3d-cpu>=0.19"],
    "gpu": ["torch==2.13.0", "mediapipe>=1.2", "open3d>=0.19"],
    # Drawing synthetic recordings, and reading the data sets' videos.
    "synth": ["moderngl>=5.12", "av>=12"],
    "bags": ["rosbags>=0.11"],
    "ros": [*ROS_WHEELS, "rosbags>=0.11"],
    "train": [
        "accelerate>=1.0",
        "diffusers>=0.31",
        "transformers>=4.46",
        "tensorboard>=2.17",
        "torchmetrics>=1.4",
    ],
    # LPIPS and FID. torchvision must be built for the same torch: take it from where torch came from.
    "measure": ["lpips>=0.1.4", "torch-fidelity>=0.4", "torchmetrics>=1.4", "torchvision"],
    # GPL; runs as a process of its own (data/synthetic/cycles_process) and exists for this Python alone.
    "cycles": ["bpy==4.2.0 ; python_version == '3.11'"],
    "view": ["rerun-sdk>=0.20"],
    # The last three are what measures are tested against.
    "dev": [
        *["pytest>=8", "hypothesis>=6.100", "ruff", "mypy", "types-PyYAML", "types-tqdm"],
        *["scikit-image>=0.22", "torchmetrics>=1.4", "efficientnet-lite-pytorch==0.1.0"],
    ],
}

if __name__ == "__main__":
    from pathlib import Path

    from setuptools import find_packages, setup

    setup(
        name="genego_ros",
        version="0.1.0",
        description="Egocentric views from a third-person camera (GenEgo) for ROS 2",
        license="Apache-2.0",
        python_requires=">=3.10",
        packages=find_packages(include=["genego_ros", "genego_ros.*"]),
        package_data={"genego_ros.data.synthetic.raster": ["shaders/*"]},
        # Where an installation by colcon has them too; genego_ros/resources.py looks there.
        data_files=[
            ("share/genego_ros/config", [str(path) for path in Path("config").glob("*.*")]),
            ("share/genego_ros/config/train", [str(path) for path in Path("config/train").glob("*.yaml")]),
            ("share/genego_ros/models", [str(path) for path in Path("models").glob("*.*")]),
        ],
        install_requires=CORE,
        extras_require=EXTRAS,
        entry_points={"console_scripts": ["genego = genego_ros.cli:main"]},
    )
