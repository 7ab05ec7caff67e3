"""The first use where Slicer has an installer: one question; torch by its extension, by pip only on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from MetaSegmentLib.app.installing import PyTorchExtension, SlicersInstaller
from MetaSegmentLib.dependencies import Report
from MetaSegmentLib.errors import DependencyError


class User:
    """Answers questions in turn."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.answers.pop(0)


class Slicer:
    """What the PyTorch extension and pip are asked to do."""

    def __init__(self, extension: bool, reachable: bool = True) -> None:
        self.calls: list[Any] = []
        self.extension = extension
        self.reachable = reachable

    def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        self.calls.append(("extension", askConfirmation, torchVersionRequirement))
        return object()

    def install(self, requirements: Sequence[str]) -> None:
        self.calls.append(("pip", list(requirements)))

    def install_extension(self) -> bool:
        self.calls.append("install the extension")
        return self.reachable

    def torch(self, user: User) -> Any:
        installer = PyTorchExtension(
            user, lambda: self if self.extension else None, self.install_extension, lambda: self
        )
        return installer.installTorch(askConfirmation=False, torchVersionRequirement=">=2.8")


def test_torch_comes_through_the_extension_without_a_question() -> None:
    slicer, user = Slicer(extension=True), User()
    assert slicer.torch(user) is not None
    assert slicer.calls == [("extension", False, ">=2.8")] and user.questions == []


def test_a_missing_extension_is_offered_and_waits_for_a_restart() -> None:
    slicer, user = Slicer(extension=False), User(True)
    with pytest.raises(DependencyError, match="save your work, restart Slicer"):
        slicer.torch(user)
    assert slicer.calls == ["install the extension"] and "PyTorch extension" in user.questions[0]


def test_an_extension_that_cannot_be_installed_says_what_to_do() -> None:
    slicer = Slicer(extension=False, reachable=False)
    with pytest.raises(DependencyError, match="check the network, or install it in the Extensions Manager"):
        slicer.torch(User(True))


def test_pip_gets_torch_only_when_the_user_wants_it() -> None:
    slicer, user = Slicer(extension=False), User(False, True)
    assert slicer.torch(user) is not None
    assert slicer.calls == [("pip", ["torch>=2.8"])] and "with pip" in user.questions[1]


def test_two_refusals_install_nothing() -> None:
    slicer = Slicer(extension=False)
    assert slicer.torch(User(False, False)) is None and slicer.calls == []


class Shop:
    def __init__(self, report: Report | DependencyError) -> None:
        self.left = ["torch>=2.8", "monai>=1.5"]
        self.report = report
        self.pressed_again = lambda: False

    def ensure(self) -> Report:
        assert not self.pressed_again()
        if isinstance(self.report, DependencyError):
            raise self.report
        self.left = []
        return self.report


def test_one_question_then_everything_is_there() -> None:
    shop, user = Shop(Report({"monai": "1.6"})), User(True)
    installer = SlicersInstaller(user, shop.ensure, lambda: shop.left)
    shop.pressed_again = installer.ready
    assert not installer.complete
    assert installer.ready() and installer.complete and installer.ready()
    assert len(user.questions) == 1 and "torch>=2.8, monai>=1.5" in user.questions[0]


def test_a_no_installs_nothing_and_can_be_taken_back() -> None:
    shop, user = Shop(Report({"monai": "1.6"})), User(False, True)
    installer = SlicersInstaller(user, shop.ensure, lambda: shop.left)
    assert not installer.ready() and shop.left
    assert installer.ready()


@pytest.mark.parametrize(
    ("report", "sentence"),
    [(Report({"monai": "1.6"}, restart=True), "Restart Slicer"), (DependencyError("no network"), "no network")],
)
def test_what_stands_in_the_way_is_said_and_the_next_try_is_free(report: Any, sentence: str) -> None:
    shop = Shop(report)
    installer = SlicersInstaller(User(True, True), shop.ensure, lambda: shop.left)
    with pytest.raises(DependencyError, match=sentence):
        installer.ready()
    assert not installer._busy
