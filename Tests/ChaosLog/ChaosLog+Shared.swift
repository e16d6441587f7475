import Synchronization

/// The other shared data of the processes: the registers, and the words between the parent and its workers.
extension ChaosLog {
  private static let endFlag = 1
  /// Where the registers begin: two words each, at an even number, as an atomic pair requires.
  private static let registers = 16
  private static let twins = 64
  private static let windows = 128

  // MARK: The register that checks fences

  /// The value of a register, and the largest fence it has seen.
  struct Register: Equatable {
    var fence: UInt64
    var value: UInt64
  }

  /// Reads the register of a key for a holder; nil if a later holder was there already.
  ///
  /// Reading counts as well. Otherwise, a stale holder could write between the read and the write of the next
  /// holder, and that write would be lost.
  public func read(register key: Int, fence: UInt64) -> UInt64? {
    update(key) { $0.fence <= fence ? Register(fence: fence, value: $0.value) : nil }?.value
  }

  /// Writes the register of a key for a holder; false if a later holder was there already.
  public func write(_ value: UInt64, register key: Int, fence: UInt64) -> Bool {
    update(key) { $0.fence <= fence ? Register(fence: fence, value: value) : nil } != nil
  }

  /// The register of a key.
  func register(_ key: Int) -> Register {
    let pair = unsafe pair(key).pointee.load(ordering: .acquiring)
    return Register(fence: UInt64(pair.first), value: UInt64(pair.second))
  }

  private func update(_ key: Int, _ change: (Register) -> Register?) -> Register? {
    while true {
      let old = register(key)
      guard let new = change(old) else { return nil }
      let isDone = unsafe pair(key).pointee.compareExchange(
        expected: WordPair(first: UInt(old.fence), second: UInt(old.value)),
        desired: WordPair(first: UInt(new.fence), second: UInt(new.value)),
        ordering: .acquiringAndReleasing
      ).exchanged
      if isDone { return new }
    }
  }

  private func pair(_ key: Int) -> UnsafeMutablePointer<Atomic<WordPair>> {
    unsafe UnsafeMutableRawPointer(header(Self.registers + 2 * key))
      .assumingMemoryBound(to: Atomic<WordPair>.self)
  }

  // MARK: The register that checks nothing

  /// Reads the unguarded register of a key.
  public func twin(_ key: Int) -> UInt64 {
    unsafe header(Self.twins + key).pointee.load(ordering: .acquiring)
  }

  /// Writes the unguarded register of a key.
  public func setTwin(_ key: Int, to value: UInt64) {
    unsafe header(Self.twins + key).pointee.store(value, ordering: .releasing)
  }

  // MARK: Windows

  /// How many tasks of a lane are between checking that they hold a lock and acting on it.
  public func tasksInWindow(of lane: Int) -> Int {
    unsafe Int(header(Self.windows + lane).pointee.load(ordering: .acquiring))
  }

  /// Notes that a task enters or leaves this window.
  public func addTasksInWindow(_ count: Int, of lane: Int) {
    let word = unsafe header(Self.windows + lane)
    unsafe word.pointee.wrappingAdd(
      UInt64(bitPattern: Int64(count)), ordering: .acquiringAndReleasing)
  }

  /// Notes that the window is empty, as when the process was killed.
  public func clearWindow(of lane: Int) {
    unsafe header(Self.windows + lane).pointee.store(0, ordering: .releasing)
  }

  // MARK: The end

  /// Tells all processes to end.
  public func announceEnd() {
    unsafe header(Self.endFlag).pointee.store(1, ordering: .releasing)
  }

  /// Whether the processes have been told to end.
  public var isEnding: Bool {
    unsafe header(Self.endFlag).pointee.load(ordering: .acquiring) == 1
  }
}
