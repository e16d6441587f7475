internal import CFloor
import Foundation

/// The cores that threads may run on, if the system can set that.
enum CPUAffinity {
  #if os(Linux)
    static let isSupported = true
    /// The cores that this process was started with.
    private static let allowed = current()
    /// The core for everything that is pinned: the last one, since interrupts mostly go to the first.
    static let core = allowed.last ?? 0

    /// Calls the body on a thread with this placement, which processes that it starts inherit.
    static func with<Result>(_ placement: Placement, _ body: () throws -> Result) rethrows -> Result
    {
      set(placement, thread: 0)
      defer { set(.unpinned, thread: 0) }
      return try body()
    }

    /// Moves all threads of a process.
    static func move(process: Int32, to placement: Placement) {
      let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
      for thread in (threads ?? []).compactMap(Int32.init) { set(placement, thread: thread) }
    }

    private static func set(_ placement: Placement, thread: Int32) {
      var bits = [UInt8](repeating: 0, count: maskSize)
      for core in placement == .oneCore ? [core] : allowed {
        bits[core / 8] |= 1 << UInt8(core % 8)
      }
      unsafe lockbench_set_cores(thread, bits, bits.count)
    }

    private static func current() -> [Int] {
      var bits = [UInt8](repeating: 0, count: maskSize)
      guard unsafe lockbench_get_cores(0, &bits, bits.count) > 0 else { return [0] }
      return (0..<maskSize * 8).filter { bits[$0 / 8] & (1 << UInt8($0 % 8)) != 0 }
    }

    /// Enough bytes for 8,192 cores.
    private static let maskSize = 1024
  #else
    static let isSupported = false
    static let core = 0

    static func with<Result>(_ placement: Placement, _ body: () throws -> Result) rethrows -> Result
    {
      try body()
    }

    static func move(process: Int32, to placement: Placement) {}
  #endif
}
