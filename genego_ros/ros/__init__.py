"""The ROS 2 interface: the only place that imports rclpy."""
