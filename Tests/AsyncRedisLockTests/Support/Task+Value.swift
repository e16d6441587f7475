extension Task {
  /// Waits for the task's value, and cancels the task if the waiting task is cancelled.
  ///
  /// So the time limit of a test ends what the test waits for, too. In the tests this takes the place of the
  /// standard library's property, which waits for ever.
  ///
  /// - Throws: What the task throws.
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
  /// So the time limit of a test ends what the test waits for, too. In the tests this takes the place of the
  /// standard library's property, which waits for ever.
  var value: Success {
    get async { await resultOrCancellation.get() }
  }
}
