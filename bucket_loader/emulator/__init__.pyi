from .http.server import (
    running as running,
    serve as serve,
)
