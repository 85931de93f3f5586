"""Settings for Django's own test runner: the Redis cache backend on the port under test."""
import os

PORT = os.environ["VALK_APPLICATION_PORT"]
SECRET_KEY = "conformance"
USE_TZ = False
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = {name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                      "LOCATION": f"redis://127.0.0.1:{PORT}"}}
