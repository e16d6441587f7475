import Foundation
import Synchronization

/// The history of all holders, and the registers that the locks protect, in memory shared by all processes.
///
/// A record is written word by word as things happen, so a killed process leaves all known facts behind. No code
/// here waits for another process, which may be stopped.
@safe public final class ChaosLog: Sendable {
  /// How many keys there can be.
  public static let maxKeys = 8
  /// How many processes there can be at once.
  public static let maxLanes = 64

  private static let headerWords = 512
  private static let slotCounter = 0

  private let capacity: Int
  private let bytes: Int
  // Shared by threads and processes: every word is atomic.
  private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// Makes a file with room for this many records.
  ///
  /// - Throws: `POSIXError`.
  public convenience init(creating path: String, capacity: Int) throws {
    try self.init(
      path, flags: O_RDWR | O_CREAT | O_EXCL,
      bytes: (Self.headerWords + capacity * Record.wordCount) * 8)
  }

  /// Maps a file that another process has made.
  ///
  /// - Throws: `POSIXError`.
  public convenience init(opening path: String) throws {
    try self.init(path, flags: O_RDWR, bytes: nil)
  }

  private init(_ path: String, flags: Int32, bytes: Int?) throws {
    let file = unsafe open(path, flags | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.failure }
    defer { close(file) }
    if let bytes, ftruncate(file, off_t(bytes)) != 0 { throw Self.failure }
    let bytes = Int(lseek(file, 0, SEEK_END))
    guard let memory = unsafe mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      unsafe memory != MAP_FAILED
    else { throw Self.failure }
    unsafe words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: bytes / 8)
    self.bytes = bytes
    capacity = (bytes / 8 - Self.headerWords) / Record.wordCount
  }

  deinit { unsafe munmap(words, bytes) }

  private static var failure: POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }

  // MARK: Records

  /// Notes that a key is asked for; returns the number of the record, or nil if the log is full.
  public func begin(_ attempt: Record) -> Int? {
    guard let slot = newSlot() else { return nil }
    set(.invoked, of: slot, to: attempt.invoked)
    set(.deadline, of: slot, to: attempt.deadline)
    set(.head, of: slot, to: attempt.head)
    return slot
  }

  /// Notes another fact about an attempt.
  public func set(_ field: Record.Field, of slot: Int, to value: UInt64) {
    unsafe word(field.rawValue, of: slot).pointee.store(value, ordering: .releasing)
  }

  /// Notes another fact about an attempt, unless it is noted already.
  public func setOnce(_ field: Record.Field, of slot: Int, to value: UInt64) {
    _ = unsafe word(field.rawValue, of: slot).pointee
      .compareExchange(expected: 0, desired: value, ordering: .acquiringAndReleasing)
  }

  /// A fact noted about an attempt.
  public func value(of field: Record.Field, in slot: Int) -> UInt64 {
    unsafe word(field.rawValue, of: slot).pointee.load(ordering: .acquiring)
  }

  /// Notes that something has happened.
  public func note(_ episode: Episode) {
    guard let slot = newSlot() else { return }
    for (index, value) in episode.words.enumerated().reversed() {
      unsafe word(index, of: slot).pointee.store(value, ordering: .releasing)
    }
  }

  /// Whether the log has no room left.
  public var isFull: Bool { usedSlots >= capacity }

  /// Everything noted so far.
  public var history: History {
    var history = History()
    for slot in 0..<min(usedSlots, capacity) {
      let words = (0..<Record.wordCount).map {
        unsafe word($0, of: slot).pointee.load(ordering: .acquiring)
      }
      if let attempt = Record(slot: slot, words: words) {
        history.attempts.append(attempt)
      } else if let episode = Episode(words: words) {
        history.episodes.append(episode)
      }
    }
    for key in 0..<Self.maxKeys {
      history.registers.append(register(key).value)
      history.twins.append(twin(key))
    }
    return history
  }

  private var usedSlots: Int {
    unsafe Int(header(Self.slotCounter).pointee.load(ordering: .relaxed))
  }

  private func newSlot() -> Int? {
    let slot = unsafe header(Self.slotCounter).pointee.add(1, ordering: .relaxed).oldValue
    return slot < capacity ? Int(slot) : nil
  }

  private func word(_ index: Int, of slot: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe words + Self.headerWords + slot * Record.wordCount + index
  }

  func header(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { unsafe words + index }
}
