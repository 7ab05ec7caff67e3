"""What is missing is asked for once and installed, with a log; nothing happens before the first run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from MetaSegmentLib.errors import DependencyError


class Shop:
    """What is missing, and somebody who installs it."""

    def __init__(self, error: Exception | None = None, restart: bool = False) -> None:
        from MetaSegmentLib.dependencies import Report

        self.left = ["torch>=2.8", "monai>=1.5"]
        self.questions: list[str] = []
        self.answer = True
        self.error = error
        self.report = Report({"monai": "1.6"}, restart)
        self.while_installing: Callable[[], None] = lambda: None

    def ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer

    def missing(self) -> list[str]:
        return self.left

    def ensure(self, log: Any) -> Any:
        log("Installing monai.")
        print("Collecting monai")
        self.while_installing()
        print("  Downloading monai-1.6-py3-none-any.whl")
        if self.error is not None:
            raise self.error
        self.left = []
        return self.report


def use(desk: Any, shop: Shop) -> Any:
    from MetaSegmentLib.gui.installer import Installer

    desk.panel._installer = Installer(shop.ask, None, shop.ensure, shop.missing)
    return desk.panel._installer


def test_the_first_use_asks_once_and_installs(desk: Any) -> None:
    shop = Shop()
    installer = use(desk, shop)
    desk.put_ball()
    assert shop.questions == []
    desk.segment()
    assert len(shop.questions) == 1 and "torch>=2.8, monai>=1.5" in shop.questions[0] and "GPU" in shop.questions[0]
    text = installer.window.text.plainText
    lines = text.splitlines()
    assert lines[:3] == ["Installing monai.", "Collecting monai", "  Downloading monai-1.6-py3-none-any.whl"]
    assert "monai 1.6" in lines[3]
    assert installer.window.close_button.enabled
    installer.window.close_button.click()
    desk.segment()
    assert len(shop.questions) == 1


def test_a_no_changes_nothing(desk: Any) -> None:
    shop = Shop()
    shop.answer = False
    use(desk, shop)
    desk.put_ball()
    desk.ui.applyButton.click()
    assert not desk.logic.session.running and shop.left and not desk.errors
    desk.ui.applyButton.click()
    assert len(shop.questions) == 2


def test_an_installation_that_fails_says_why(desk: Any) -> None:
    installer = use(desk, Shop(DependencyError("The network cannot be reached; try again.")))
    desk.put_ball()
    desk.ui.applyButton.click()
    assert "network" in installer.window.text.plainText.splitlines()[-1] and installer.window.close_button.enabled
    assert desk.errors == [], "one window is enough"
    assert desk.ui.statusLabel.text == "The network cannot be reached; try again."
    assert not desk.logic.session.running


def test_a_needed_restart_is_waited_for(desk: Any) -> None:
    installer = use(desk, Shop(restart=True))
    desk.put_ball()
    desk.ui.applyButton.click()
    assert not desk.logic.session.running and "Restart" in installer.window.text.plainText


def test_pressing_again_while_pip_runs_does_nothing(desk: Any) -> None:
    """Slicer lets events through while it waits for pip."""
    shop = Shop()
    use(desk, shop)
    desk.put_ball()
    shop.while_installing = desk.ui.applyButton.click
    desk.segment()
    assert len(shop.questions) == 1


def test_the_console_still_gets_what_pip_prints(desk: Any, capsys: Any) -> None:
    use(desk, Shop())
    desk.put_ball()
    desk.segment()
    assert "Collecting monai" in capsys.readouterr().out


def test_a_first_result_is_there_before_anything_is_asked(desk: Any) -> None:
    shop = Shop()
    use(desk, shop)
    desk.put_ball()
    desk.parameters.method = "propagation"
    seen: list[bool] = []

    def ask(question: str) -> bool:
        seen.append(bool(desk.look()[6].any()) and desk.ui.summaryLabel.text.startswith("Preview"))
        return len(seen) > 1

    shop.ask = ask
    use(desk, shop)
    desk.segment()
    assert seen == [True] and desk.results[-1].report["method"] == "shape", "no, and it stays a preview"
    desk.segment()
    assert seen == [True, True] and desk.results[-1].report["method"] == "propagation"
    assert desk.logic.undo()
    assert desk.results[-2].report["method"] == "shape"
