"""Which credential large media go up with: the Files API shares the pool with the calls."""

from collections.abc import Collection

from gateway.errors import GatewayError
from gateway.exchange import FilesLease
from gateway.upstream.client import GeminiUpstream


class FilesCredentials:
    """Lends the upstream's credentials for the Files API."""

    def __init__(self, upstream: GeminiUpstream) -> None:
        self._upstream = upstream

    @property
    def base_url(self) -> str:
        """Give the upstream's address as it is configured now."""
        return self._upstream.settings.base_url

    def owner(self, uri: str) -> str | None:
        """Give the credential that is known to find the file at *uri*."""
        return self._upstream.owners.of(uri)

    def lease(self, credential: str | None, avoid: Collection[str]) -> FilesLease:
        """Lend *credential*, or another one when it cannot be used. Raises `GatewayError`.

        An upload does not count as a lease: it is no load on the quotas of a model.
        """
        pool = self._upstream.pool
        try:
            found = pool.lease("", avoid=avoid, only=credential)
        except GatewayError:
            if credential is None:
                raise
            found = pool.lease("", avoid=avoid)
        pool.release(found)
        return FilesLease(found.name, found.key)
