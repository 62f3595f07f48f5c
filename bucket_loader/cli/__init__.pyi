from .commands import (
    main as main,
    with_patience as with_patience,
)
