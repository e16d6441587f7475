/// What is left to undo of the requests for one claim at one member of a quorum.
///
/// An undo that comes late deletes keys that the member has granted since. So a token is used again there only when it
/// is certain that none can come.
package final class UndoRecord: Sendable {
  private struct State {
    /// How many undos may be sent, or have no answer.
    var openCount = 0
    /// The processes of the server that may find commands in connections that broke.
    var late: Set<String> = []
    /// Whether an undo may come at any time.
    var isEndless = false
    /// How long the former holder would have had the keys.
    var formerRest: Duration?
  }

  private let state = Locked(State())

  package init() {}

  /// Begins an undo.
  package func begin() -> PendingUndo { PendingUndo(self) }

  /// Whether no undo can come any more to the server's process `run`.
  ///
  /// When a process ends, so do its connections, with what it has not read of them.
  func isOver(in run: String?) -> Bool {
    state.withLock { state in
      guard state.openCount == 0, !state.isEndless else { return false }
      return state.late.isEmpty || (run.map { !state.late.contains($0) } ?? false)
    }
  }

  /// Notes that an undo may come at any time.
  func neverEnds() { state.withLock { $0.isEndless = true } }

  /// How long the holder that the keys were taken over from would have had them, at that moment; nil if not known.
  package var formerRest: Duration? { state.withLock { $0.formerRest } }

  /// Notes how long the holder that the keys were taken over from would have had them.
  package func noteFormer(lasting rest: Duration) { state.withLock { $0.formerRest = rest } }

  fileprivate func count(_ change: Int) { state.withLock { $0.openCount += change } }

  /// Notes that a connection to a process broke, which had sent the request or an undo.
  func noteLate(in run: String?) {
    state.withLock { state in
      if let run { state.late.insert(run) } else { state.isEndless = true }
    }
  }

  /// Whether commands of a broken connection may yet come to a process.
  func mayComeLate(in run: String?) -> Bool {
    state.withLock { $0.isEndless || run.map($0.late.contains) ?? true }
  }
}

/// An undo that may be sent, or has no answer, for as long as this object exists.
package final class PendingUndo: Sendable {
  let record: UndoRecord

  fileprivate init(_ record: UndoRecord) {
    self.record = record
    record.count(1)
  }

  deinit { record.count(-1) }
}
