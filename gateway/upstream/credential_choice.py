"""Chooses the credential of each attempt at one call, and the error if all refuse."""

from contextlib import suppress
from dataclasses import replace

from gateway.errors import GatewayError, NotFound, RateLimited, Unavailable
from gateway.exchange import UpstreamCall
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.owners import Owners

_NONE: frozenset[str] = frozenset()
# Faults that say nothing about other keys; a refused region and shared capacity concern all.
_ONE_KEY_KINDS = frozenset(
    {Kind.BUSY, Kind.SPENT, Kind.NOT_IN_PLAN, Kind.KEY_INVALID, Kind.KEY_DEAD}
)


class CredentialChoice:
    """What is known, for one call, about the credentials of *pool*; sets hold their names."""

    __slots__ = ("_avoided", "_missing", "_only", "_owners", "_pool", "_tried")

    def __init__(self, pool: CredentialPool, owners: Owners, call: UpstreamCall) -> None:
        self._pool = pool
        self._owners = owners
        # The project that owns what the call names: only its credentials are asked.
        self._only = call.project or owners.of_call(call)
        # What Gemini said is missing, for one project or another.
        self._missing: tuple[str, ...] = ()
        # Nearly every call needs no more than one credential. These have been tried.
        self._avoided = _NONE
        self._tried = _NONE

    def lease(self, model: str) -> Credential:
        """Lease a credential: one not tried yet, else one that may be retried.

        Raises a final `Failed` with the error of the pool.
        """
        try:
            if self._tried:
                credential = self._lease_again(model)
            else:
                credential = self._pool.lease(model, only=self._only)
        except GatewayError as error:
            kind = Kind.SPENT if error.type == "insufficient_quota" else Kind.BUSY
            raise Failed(Fault(kind, error), final=True) from None
        self._tried |= {credential.name}
        return credential

    def avoid(self, credential: Credential) -> None:
        """Do not use *credential* again for the current model."""
        self._avoided |= {credential.name}

    def exclude_project(self, credential: Credential, fault: Fault, call: UpstreamCall) -> Fault:
        """Use no key of this project again: it lacks what *call* names.

        Returns *fault*, reworded if two projects each have something that the other lacks.
        """
        message = fault.error.message
        if message not in self._missing:
            self._missing += (message,)
        if len(self._missing) > 1:
            # The client cannot use both in one request.
            reasons = " ".join(self._missing)
            error = NotFound(f"No single project has everything that this request names. {reasons}")
            fault = replace(fault, error=error)
        same_project = {member.name for member in self._pool.members(credential.scope)}
        self._avoided |= same_project
        self._tried |= same_project
        if self._only is not None:
            self._owners.forget(call)
            self._only = call.project
        return fault

    def succeed(self, credential: Credential, call: UpstreamCall) -> None:
        """Note that *credential* has all that *call* names, if another one lacked it."""
        if self._missing:
            self._owners.learn(call, credential.scope)

    def forget_attempts(self) -> None:
        """Start again for another model: quotas are counted per model."""
        self._avoided = self._tried = _NONE

    def verdict(self, fault: Fault, model: str) -> GatewayError:
        """Return the client's error after the last *fault*, which may concern one key only."""
        is_shared = fault.kind is Kind.SHARED
        if not is_shared and fault.kind not in _ONE_KEY_KINDS:
            return fault.error
        error = fault.error
        outlook = self._pool.outlook(model, avoid=self._avoided, only=self._only)
        if outlook is None and is_shared:
            # Other keys would be refused as well.
            return error
        if outlook is None:
            kind = RateLimited if error.status == RateLimited.status else Unavailable
            return kind(
                "No credential that was tried can serve now; others may: try again.",
                retry_after=1.0,
            )
        if type(outlook) is not type(error):
            return outlook
        # Gemini's own message says more.
        error.retry_after = outlook.retry_after
        return error

    def _lease_again(self, model: str) -> Credential:
        with suppress(GatewayError):
            return self._pool.lease(model, avoid=self._tried, only=self._only)
        return self._pool.lease(model, avoid=self._avoided, only=self._only)
