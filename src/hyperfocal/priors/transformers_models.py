"""Networks of the package transformers out of a folder: never downloaded, never with code of others."""

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import BadInputError, first_line, has_package, missing_extra


def load_network(kind: str, folder: Path) -> Any:
    """Return a network of transformers, ready to look at pictures.

    Args:
        kind: Its class, such as "DepthAnythingForDepthEstimation".
        folder: Holds config.json and model.safetensors.

    Raises:
        BadInputError: the weights are damaged, or those of another network.
        MissingExtraError: transformers is not installed.
    """
    if not has_package("transformers"):
        raise missing_extra("transformers", "priors")
    transformers: Any = import_module("transformers")
    network_kind = getattr(transformers, kind)
    remedy = "Replace both files, or remove them."
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # what it would warn of is an error below
    shows_bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.disable_progress_bar()
    try:
        network, loaded = network_kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # of its configuration, of safetensors and of torch, none with a base in common
        raise BadInputError(
            f"The weights in {folder} cannot be read as {kind} ({first_line(error)}). {remedy}"
        ) from error
    finally:
        transformers.logging.set_verbosity(level)
        if shows_bars:
            transformers.logging.enable_progress_bar()
    # Left-out values would be random, and the depth with them. The network says so only in a warning.
    if missing := sorted(loaded["missing_keys"]) or sorted(map(str, loaded["mismatched_keys"])):
        raise BadInputError(
            f"The weights in {folder} are not those of {kind}: {len(missing)} of its values are missing, such as "
            f"{missing[0]}. {remedy}"
        )
    return network.eval()
