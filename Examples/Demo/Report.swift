import Foundation
import Synchronization

/// The output of the demo, and whether all its checks have passed.
final class Report: Sendable {
  private let failures = Mutex(0)
  private let start = ContinuousClock.now

  func title(_ text: String) { say("\n\(text)") }

  func say(_ text: String) {
    print(text)
    // Unbuffered, so that the demo can be followed through a pipe, too.
    fflush(nil)
  }

  /// Prints a check and its result.
  func check(_ holds: Bool, _ what: String) {
    if !holds { failures.withLock { $0 += 1 } }
    say("  \(holds ? "✔" : "✘") \(what)")
  }

  /// Prints the result, and ends the program with an error if a check has failed.
  func conclude() {
    let failures = failures.withLock { $0 }
    let time = (ContinuousClock.now - start).inSeconds
    say("\n\(failures == 0 ? "All checks held" : "\(failures) checks failed") (\(time)).")
    if failures > 0 { exit(1) }
  }
}

extension Duration {
  /// The duration in seconds with two digits.
  var inSeconds: String {
    formatted(.units(allowed: [.seconds], width: .narrow, fractionalPart: .show(length: 2)))
  }
}
