from tests.app.desk import desk
from tests.app.recovered import recovered

__all__ = ["desk", "recovered"]
