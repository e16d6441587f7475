import Foundation

/// How many descriptors and threads this process has.
struct ProcessResources: Sendable {
  let descriptors: Int
  let threads: Int

  /// What the system says now; nothing where it does not say.
  static var current: Self {
    func count(_ folder: String) -> Int {
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count) ?? 0
    }
    return Self(descriptors: count("fd"), threads: count("task"))
  }

  /// Whether there are no more than before, but for a few that come and go, like those that Dispatch keeps
  /// for a while.
  func isNoMore(than former: Self) -> Bool {
    descriptors <= former.descriptors + 4 && threads <= former.threads + 8
  }
}
