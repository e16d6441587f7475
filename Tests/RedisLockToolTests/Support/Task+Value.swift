extension Task {
  /// Waits for the task's value, and cancels the task if the waiting task is cancelled.
  ///
  /// Thus the time limit of a test also ends what the test waits for. In the tests, this replaces the standard
  /// library's property, which waits for ever.
  ///
  /// - Throws: The error that the task throws.
  var value: Success {
    get async throws { try await resultOrCancellation.get() }
  }

  fileprivate var resultOrCancellation: Result<Success, Failure> {
    get async {
      await withTaskCancellationHandler {
        await result
      } onCancel: {
        cancel()
      }
    }
  }
}

extension Task where Failure == Never {
  /// Waits for the task's value, and cancels the task if the waiting task is cancelled.
  ///
  /// Thus the time limit of a test also ends what the test waits for. In the tests, this replaces the standard
  /// library's property, which waits for ever.
  var value: Success {
    get async { await resultOrCancellation.get() }
  }
}
