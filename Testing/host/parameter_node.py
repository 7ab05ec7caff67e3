"""The part of slicer.parameterNodeWrapper that the panel uses: values of a few types, nodes, and two kinds of widgets.

As the real one it keeps text in the node's parameters and nodes in its references, and compares exact types.
"""

from __future__ import annotations

import typing
from typing import Any

import vtk

import slicer
from host.pythonqt import qt_class
from host.widgets import qMRMLNodeComboBox

NAME = "SlicerParameterName"
_TEXT = {str: str, int: int, float: float, bool: lambda text: text == "True"}
_DEFAULT = {str: "", int: 0, float: 0.0, bool: False}


class _Parameter:
    def __init__(self, name: str, kind: type, default: Any) -> None:
        self.name = name
        self.is_node = issubclass(kind, slicer.vtkMRMLNode)
        if not self.is_node and kind not in _TEXT:
            raise TypeError(f"Unable to create a serializer for {name}: {kind}.")
        self.kind = kind
        self.default = None if self.is_node else (_DEFAULT[kind] if default is None else default)

    def __get__(self, wrapper: Any, _owner: Any = None) -> Any:
        node = wrapper.parameterNode
        if self.is_node:
            return node.GetNodeReference(self.name)
        return _TEXT[self.kind](node.GetParameter(self.name))

    def __set__(self, wrapper: Any, value: Any) -> None:
        node = wrapper.parameterNode
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name} has to be a {self.kind.__name__}.")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif type(value) is not self.kind:
            raise TypeError(f"{self.name} has to be a {self.kind.__name__}.")
        else:
            node.SetParameter(self.name, str(value))


class _Connector:
    """A widget and the parameter that it shows."""

    def __init__(self, wrapper: Any, name: str, widget: Any) -> None:
        parameter = type(wrapper).allParameters[name]
        if type(widget) is qMRMLNodeComboBox and parameter.is_node:
            self._signal, self._read, self._write = "currentNodeChanged", widget.currentNode, widget.setCurrentNode
        elif type(widget) is qt_class("QCheckBox") and parameter.kind is bool:
            self._signal, self._read, self._write = "stateChanged", widget.isChecked, widget.setChecked
        else:
            raise RuntimeError(f"Unable to create GUI connector from {parameter.kind} to {type(widget)}.")
        self._wrapper, self._name, self._widget = wrapper, name, widget
        self.show()
        getattr(widget, self._signal).connect(self._changed)

    def show(self) -> None:
        self._write(getattr(self._wrapper, self._name))

    def disconnect(self) -> None:
        getattr(self._widget, self._signal).disconnect(self._changed)

    def _changed(self, _value: Any = None) -> None:
        if not self._wrapper._showing:
            with slicer.util.NodeModify(self._wrapper):
                setattr(self._wrapper, self._name, self._read())


class _Wrapper:
    """The methods that the decorator adds."""

    allParameters: dict[str, _Parameter]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connectors: dict[int, list[_Connector]] = {}
        self._showing = False
        for name, parameter in self.allParameters.items():
            if not parameter.is_node and parameterNode.GetParameter(name) == "":
                parameterNode.SetParameter(name, str(parameter.default))

    def connectGui(self, gui: Any) -> int:
        widgets = [w for w in vars(gui).values() if w.property(NAME)]
        tag = len(self._connectors)
        self._connectors[tag] = [_Connector(self, w.property(NAME), w) for w in widgets]
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        return tag

    def disconnectGui(self, tag: int) -> None:
        for connector in self._connectors.pop(tag, []):
            connector.disconnect()

    def _show(self) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            for connectors in self._connectors.values():
                for connector in connectors:
                    connector.show()
        finally:
            self._showing = False

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, was_modifying: Any) -> None:
        self.parameterNode.EndModify(was_modifying)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(kind: type) -> type:
    """The class decorator."""
    hints = typing.get_type_hints(kind, include_extras=True)
    parameters = {name: _Parameter(name, hint, getattr(kind, name, None)) for name, hint in hints.items()}
    return type(kind.__name__, (_Wrapper,), {**parameters, "allParameters": parameters, "__module__": kind.__module__})
