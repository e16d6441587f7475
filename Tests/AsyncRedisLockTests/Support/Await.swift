import Testing

/// Waits until the condition comes true, and records an issue if it does not come true in time.
///
/// An error thrown by the condition counts as "not yet", as when a server is just being restarted;
/// the last one is named in the issue.
///
/// - Parameters:
///   - limit: How long to wait.
///   - comment: What was waited for, as the issue should say.
///   - sourceLocation: Where the issue is recorded.
///   - condition: What is looked at, every few milliseconds and at least once.
func eventually(
  within limit: Duration = .seconds(5), _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ condition: () async throws -> Bool
) async {
  let deadline = ContinuousClock.now + limit
  var outcome = "was false"
  repeat {
    do {
      if try await condition() { return }
      outcome = "was false"
    } catch {
      outcome = "threw \(error)"
    }
    do {
      try await Task.sleep(for: .milliseconds(5))
    } catch {
      outcome += " when the test was cancelled"
      break
    }
  } while ContinuousClock.now < deadline
  let subject = comment.map { "“\($0)”" } ?? "The condition"
  Issue.record("\(subject) \(outcome), after up to \(limit)", sourceLocation: sourceLocation)
}
