import Foundation

/// The number of descriptors and threads of this process.
struct ProcessResources: Sendable {
  let descriptors: Int
  let threads: Int

  /// The present numbers, as far as the system tells them.
  static var current: Self {
    func count(_ folder: String) -> Int {
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(folder)").count) ?? 0
    }
    return Self(descriptors: count("fd"), threads: count("task"))
  }

  /// Whether there are no more than before, except for a few that come and go, like those that Dispatch keeps for a
  /// while.
  func isNoMore(than former: Self) -> Bool {
    descriptors <= former.descriptors + 4 && threads <= former.threads + 8
  }
}
