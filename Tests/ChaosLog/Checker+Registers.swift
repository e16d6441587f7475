extension Checker {
  /// Updates of the guarded registers that were lost.
  public var registerFindings: [Finding] {
    history.registers.indices.compactMap { key in
      let tally = tally(of: key, \.guarded)
      let value = Int(history.registers[key])
      guard value < tally.done || value > tally.done + tally.begun else { return nil }
      return Finding(
        .lostUpdate,
        "\(tally.done) updates of register \(key) were accepted, and \(tally.begun) begun by processes that"
          + " were killed meanwhile, but its value is \(value).")
    }
  }

  /// Runs in which the unguarded registers lost nothing: such a run proves nothing.
  public var blindnessFindings: [Finding] {
    guard lostTwinUpdates == 0 else { return [] }
    return [
      Finding(
        .blindCheck,
        "No unguarded update was lost: no task was stopped long enough between its check and its write."
      )
    ]
  }

  /// How many updates of guarded registers were lost.
  public var lostUpdates: Int { lost(\.guarded, history.registers) }

  /// How many updates of unguarded registers were lost, at least.
  public var lostTwinUpdates: Int { lost(\.twin, history.twins) }

  private func lost(_ write: KeyPath<Record, Record.Write>, _ values: [UInt64]) -> Int {
    values.enumerated().reduce(0) { sum, value in
      sum + max(0, tally(of: value.offset, write).done - Int(value.element))
    }
  }

  private func tally(
    of key: Int, _ write: KeyPath<Record, Record.Write>
  ) -> (done: Int, begun: Int) {
    history.attempts.reduce(into: (done: 0, begun: 0)) { tally, attempt in
      guard attempt.key == key else { return }
      if attempt[keyPath: write] == .done { tally.done += 1 }
      if attempt[keyPath: write] == .begun { tally.begun += 1 }
    }
  }
}
