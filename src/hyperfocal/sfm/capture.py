"""What a way of taking photographs means for the settings of structure from motion."""

from dataclasses import replace

from ..data.gps import read_gps
from ..scene import Scene
from .config import Capture, SfmConfig

# As their EXIF spells them. Hasselblad makes the cameras of DJI's Mavic; its other cameras write no GPS on their own.
_DRONE_MAKERS = ("dji", "parrot", "autel", "skydio", "yuneec", "sensefly", "hasselblad")
_MOST_FEATURES = 8192


def recognised_capture(scene: Scene) -> tuple[Capture, str]:
    """Return (how a scene was taken, what says so). A walk-round cannot be told from other photographs."""
    if scene.kind == "video":
        return "video", "the source is a video"
    makers = [(view.exif.make or "").lower() for view in scene.views]
    of_drones = [
        view for view, maker in zip(scene.views, makers, strict=True) if any(m in maker for m in _DRONE_MAKERS)
    ]
    if len(of_drones) > len(scene.views) / 2:
        with_gps = sum(read_gps(view.image) is not None for view in of_drones)
        if with_gps > len(scene.views) / 2:
            return (
                "drone",
                f"{with_gps} of {len(scene.views)} photographs have GPS and the maker {of_drones[0].exif.make}",
            )
    return "photographs", "nothing says otherwise"


def with_capture(scene: Scene, config: SfmConfig) -> tuple[SfmConfig, tuple[str, ...]]:
    """Return (settings with what `capture` decides filled in, notes for the user). What is set stays as it is.

    - photographs: all pairs or the similar ones; cameras are shared by EXIF.
    - video: neighbours in time see the same, so few pairs do; similar ones far apart in time close loops. All frames
      have one camera.
    - drone: what overlaps lies near by GPS, so pairs grow with the number of photographs and not with its square; the
      ground is far, so details are small: more pixels and features.
    - walk-round: neighbours by name, the last beside the first, so that the circle closes; few pairs leave time for
      more features.
    """
    capture, reason = (config.capture, "") if config.capture != "auto" else recognised_capture(scene)
    notes = () if not reason or capture == "photographs" else (f"Taken as --capture {capture}: {reason}.",)
    config = replace(config, capture=capture)
    match capture:
        case "video":
            config = _filled(config, matching="revisiting", camera_sharing="single")
        case "drone":
            config = _filled(config, matching="nearby", max_features=_MOST_FEATURES)
            if config.max_image_size_px == SfmConfig.max_image_size_px:
                config = replace(config, max_image_size_px=2400)
        case "walk-round":
            config = _filled(config, matching="loop", max_features=_MOST_FEATURES)
        case _:
            pass
    return config, notes


def _filled(config: SfmConfig, **values: object) -> SfmConfig:
    """Return the config with values for the fields that are left open."""
    return replace(config, **{name: value for name, value in values.items() if getattr(config, name) in (None, "auto")})  # pyright: ignore[reportArgumentType]
