import Foundation
import Synchronization

/// The holders of the contended lock and the length of each handoff, in memory shared by the workers.
///
/// Only the holder of the lock writes, so the lock itself orders the entries.
@safe final class HandoffLog: Sendable {
  /// One turn of a contender.
  struct Entry {
    let contender: Int
    /// The time from the call of the previous release to the return of this acquire.
    let nanoseconds: UInt64
  }

  private static let capacity = 1 << 20
  private static let headerWords = 8
  private static let bytes = (headerWords + capacity) * 8
  private static let contenderShift: UInt64 = 48

  // Shared by threads and processes: every word is atomic.
  private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// Maps the file; creates or enlarges it as needed.
  init(path: String) throws {
    let file = unsafe open(path, O_RDWR | O_CREAT, 0o600)
    guard file >= 0 else { throw BenchError("cannot open the log of handoffs") }
    defer { close(file) }
    guard ftruncate(file, off_t(Self.bytes)) == 0,
      let memory = unsafe mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      unsafe memory != MAP_FAILED
    else { throw BenchError("cannot map the log of handoffs") }
    unsafe words = memory.bindMemory(
      to: Atomic<UInt64>.self, capacity: Self.headerWords + Self.capacity)
  }

  deinit { unsafe munmap(words, Self.bytes) }

  private var count: UnsafeMutablePointer<Atomic<UInt64>> { unsafe words }
  private var lastRelease: UnsafeMutablePointer<Atomic<UInt64>> { unsafe words + 1 }
  private var holders: UnsafeMutablePointer<Atomic<UInt64>> { unsafe words + 2 }
  private var overlapCount: UnsafeMutablePointer<Atomic<UInt64>> { unsafe words + 3 }
  private var turns: UnsafeMutablePointer<Atomic<UInt64>> { unsafe words + Self.headerWords }

  /// Notes that the contender has got the lock.
  func enter(_ contender: Int) {
    let now = Monotonic.now()
    if unsafe holders.pointee.add(1, ordering: .sequentiallyConsistent).oldValue > 0 {
      unsafe overlapCount.pointee.add(1, ordering: .relaxed)
    }
    let last = unsafe lastRelease.pointee.load(ordering: .acquiring)
    // There was no release before the first one.
    guard last > 0 else { return }
    let index = unsafe Int(count.pointee.load(ordering: .relaxed))
    guard index < Self.capacity else { return }
    let gap = now > last ? now - last : 0
    unsafe turns[index].store(
      UInt64(contender) << Self.contenderShift | gap, ordering: .relaxed)
    unsafe count.pointee.add(1, ordering: .releasing)
  }

  /// Notes that the holder is about to release the lock.
  func leave() {
    unsafe holders.pointee.subtract(1, ordering: .sequentiallyConsistent)
    unsafe lastRelease.pointee.store(Monotonic.now(), ordering: .releasing)
  }

  /// All turns so far.
  var entries: [Entry] {
    let count = unsafe Int(count.pointee.load(ordering: .acquiring))
    return (0..<count).map { index in
      let word = unsafe turns[index].load(ordering: .relaxed)
      return Entry(
        contender: Int(word >> Self.contenderShift),
        nanoseconds: word & (1 << Self.contenderShift - 1))
    }
  }

  /// How often a contender got the lock while another still held it.
  var overlaps: Int { unsafe Int(overlapCount.pointee.load(ordering: .relaxed)) }
}
