"""Declares the system's parameters on a node and reads them back."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from genego_ros.errors import GenEgoError
from genego_ros.parameters import Declaration, Parameters, declarations, unknown_parameter

_RCLPY_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def declare_parameters(node: Node) -> list[str]:
    """Declares every parameter of `Parameters` and checks what the node was started with.

    Returns:
        What is wrong with the given values: unknown names, wrong types, values out of range. Such a
        parameter has its default; the node should not be configured before that is put right.
    """
    problems = [
        unknown_parameter(name)
        for name in node._parameter_overrides
        if not node.has_parameter(name) and not name.startswith(_RCLPY_OWN) and name not in _names()
    ]
    for name, default, declaration in declarations():
        descriptor = _descriptor(default, declaration)
        whole = _whole_number(node, name, default)
        try:
            if whole is None:
                node.declare_parameter(name, default, descriptor)
            else:
                node.declare_parameter(name, whole, descriptor, ignore_override=True)
        except (InvalidParameterTypeException, InvalidParameterValueException):
            given = node._parameter_overrides[name].value
            problems.append(_complaint(name, given))
            node.declare_parameter(name, default, descriptor, ignore_override=True)
    try:
        read_parameters(node)
    except GenEgoError as error:
        problems.append(str(error))
    return problems


def read_parameters(node: Node) -> Parameters:
    """The node's parameters as they are now.

    Raises:
        GenEgoError: a value is not among the choices.
    """
    return Parameters.from_mapping({name: node.get_parameter(name).value for name in _names()})


def check_change(node: Node, changed: list[Parameter]) -> SetParametersResult:
    """Whether a change of parameters is sound; for `add_on_set_parameters_callback`."""
    try:
        read_parameters(node).changed({p.name: p.value for p in changed})
    except GenEgoError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def _names() -> list[str]:
    return [name for name, _, _ in declarations()]


def _whole_number(node: Node, name: str, default: Any) -> float | None:
    """What was given for a float without a decimal point, as `1`: rclpy takes that for another type."""
    given = node._parameter_overrides.get(name)
    if isinstance(default, float) and given is not None and given.type_ == Parameter.Type.INTEGER:
        return float(given.value)
    return None


def _complaint(name: str, given: Any) -> str:
    try:
        Parameters.from_mapping({name: given})
    except GenEgoError as error:
        return str(error)
    return f"parameter '{name}' cannot be {given!r}"


def _descriptor(default: Any, declaration: Declaration) -> ParameterDescriptor:
    unit = f" [{declaration.unit}]" if declaration.unit else ""
    descriptor = ParameterDescriptor(description=declaration.meaning + unit, read_only=declaration.read_only)
    if declaration.choices:
        descriptor.additional_constraints = "one of " + ", ".join(declaration.choices)
    if declaration.low is None or declaration.high is None:
        return descriptor
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(declaration.low), to_value=int(declaration.high))]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(declaration.low), to_value=float(declaration.high))
        ]
    return descriptor
