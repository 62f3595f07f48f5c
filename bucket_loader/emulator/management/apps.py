"""The apps that a key opens: one, for its environment, so that each environment can have definitions of its own."""

from typing import Final

from bucket_loader.emulator.management import shapes
from bucket_loader.emulator.management.asking import Asked, app_id, env_id

KEY_FORMAT: Final = "custom"  # any key will do
_ORG: Final = shapes.Org("emulator", "Emulator")
_PERSON: Final = shapes.Person("emulator", "nobody@example.com", "Nobody")


def bootstrap(asked: Asked) -> shapes.Bootstrap:
    """Return what the command line begins with."""
    org = shapes.OrgWithApps(_ORG.id, _ORG.name, apps=[_app(asked)], feature_key_format=KEY_FORMAT)
    return shapes.Bootstrap(org, _PERSON)


def list_apps(asked: Asked) -> shapes.Apps:
    """Return the one app."""
    return shapes.Apps([_app(asked)])


def _app(asked: Asked) -> shapes.App:
    """Return the app; its environment is for production, because the command line asks of no other."""
    name = asked.environment.name
    environment = shapes.EnvironmentHeader(env_id(asked.environment), name, is_production=True, order=0)
    return shapes.App(
        org=_ORG,
        id=app_id(asked.environment),
        name=name,
        demo=False,
        flag_key_format=KEY_FORMAT,
        environments=[environment],
    )
