#if MUTANTS
  internal import Foundation
#endif

/// Wrong turns, each against a rule of the protocol, that the tests must not let pass.
///
/// They exist in builds with the condition `MUTANTS` alone, where the environment variable `MUTANT` names
/// the one to take; `make mutants` shows which check notices which.
package enum Mutant: String, CaseIterable, Sendable {
  /// A release deletes the key, whoever holds it.
  case plainDelete = "plain-delete"
  /// A lease counts from the arrival of the reply.
  case validityFromReply = "validity-from-reply"
  /// All acquisitions of a locker have the same token.
  case oneToken = "one-token"
  /// A token is used again after it was given up.
  case tokenUsedAgain = "token-used-again"
  /// Nothing is taken back when the outcome of a question is unknown.
  case noUndo = "no-undo"
  /// An extension creates a key that is gone.
  case extensionCreates = "extension-creates"
  /// An extension may shorten the life of a key.
  case extensionShortens = "extension-shortens"
  /// A grant is believed whenever it was made.
  case staleGrant = "stale-grant"
  /// The fencing number counts even if the key was another's when it was drawn.
  case fenceApart = "fence-apart"

  #if MUTANTS
    private static let active = ProcessInfo.processInfo.environment["MUTANT"]

    package var isActive: Bool { rawValue == Self.active }
  #else
    @inline(__always)
    package var isActive: Bool { false }
  #endif
}
