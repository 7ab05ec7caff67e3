"""The first use in a Slicer with an installer of its own: one question, then Slicer shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dependencies
from ..errors import DependencyError
from ..scene.hardware import gpu
from ..scene.i18n import tr as _
from . import wording


class PyTorchExtension:
    """Installs torch through Slicer's PyTorch extension, which knows the build that suits the computer.

    Where the extension is missing it is offered; torch comes by pip only if the user wants that instead.

    Args:
        ask: shows a question and returns the answer.
        extension: looks up the extension's installer; None where the extension is missing.
        install_extension: installs the extension; False when it could not.
        pip: looks up pip.
    """

    def __init__(
        self,
        ask: Callable[[str], bool],
        extension: Callable[[], dependencies.TorchInstaller | None] = dependencies.slicers_torch_installer,
        install_extension: Callable[[], bool] = dependencies.install_pytorch_extension,
        pip: Callable[[], dependencies.Pip] = dependencies.slicers_pip,
    ) -> None:
        self._ask = ask
        self._extension = extension
        self._install_extension = install_extension
        self._pip = pip

    def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        """Install torch; None means that the user wanted neither way."""
        installer = self._extension()
        if installer is None:
            installer = self._without_extension()
        if installer is None:
            return None
        return installer.installTorch(askConfirmation=askConfirmation, torchVersionRequirement=torchVersionRequirement)

    def _without_extension(self) -> dependencies.TorchInstaller | None:
        if self._ask(wording.extension_question()):
            if self._install_extension():
                raise DependencyError(
                    _("The PyTorch extension is installed: save your work, restart Slicer and press Segment again.")
                )
            raise DependencyError(
                _(
                    "The PyTorch extension could not be installed: check the network, or install it in the Extensions "
                    "Manager, then restart Slicer and press Segment again."
                )
            )
        return dependencies.TorchByPip(self._pip()) if self._ask(wording.torch_by_pip_question()) else None


class SlicersInstaller:
    """Sees to it that the packages are there, in the windows of Slicer's own installer.

    Args:
        ask: shows a question and returns the answer.
        ensure: installs what is missing; the default is :func:`MetaSegmentLib.dependencies.ensure`.
        missing: lists what is missing.
    """

    def __init__(
        self,
        ask: Callable[[str], bool],
        ensure: Callable[..., dependencies.Report] = dependencies.ensure,
        missing: Callable[[], list[str]] = dependencies.missing,
    ) -> None:
        self._ask = ask
        self._ensure = ensure
        self._missing = missing
        self._complete = self._busy = False

    @property
    def complete(self) -> bool:
        """Whether everything is there; asks nothing."""
        self._complete = self._complete or not (self._busy or self._missing())
        return self._complete

    def ready(self) -> bool:
        """Whether everything is there; asks and installs when not.

        Returns:
            False when the user said no.

        Raises:
            DependencyError: with what to do when it could not be installed, or Slicer has to be restarted first.
        """
        # Slicer lets events through while pip runs: the button can be pressed again.
        if self.complete or self._busy:
            return self._complete
        missing, found = self._missing(), gpu()
        megabytes = dependencies.download_megabytes(missing, cuda=found == "NVIDIA")
        if not self._ask(wording.install_question(missing, megabytes, found)):
            return False
        self._busy = True
        try:
            self._complete = self._install()
        finally:
            self._busy = False
        return self._complete

    def _install(self) -> bool:
        """Install what is missing; whether it can be used at once."""
        report = self._ensure()
        if report.restart:
            raise DependencyError(str(report))
        return True
