import Testing

/// Waits until the condition is true, and records an issue if that takes too long.
///
/// An error thrown by the condition counts as "not yet", as while a server restarts; the issue names the last one.
///
/// - Parameters:
///   - limit: How long to wait.
///   - comment: What the condition means, for the text of the issue.
///   - sourceLocation: Where the issue is recorded.
///   - condition: The condition, evaluated every few milliseconds and at least once.
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
