"""Every GraphQL document that `dam` sends, tried with Dagster 1.13.

How a person or a script asks the same is in docs/how-to/drive-it-over-graphql.md.
"""

LOCATIONS = """
query Locations {
  version
  workspaceOrError {
    __typename
    ... on PythonError { message }
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError {
          __typename
          ... on PythonError { message causes { message } }
          ... on RepositoryLocation {
            repositories { name jobs { name metadataEntries { label ... on TextMetadataEntry { text } } } }
          }
        }
      }
    }
  }
}
"""

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""

RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    __typename
    ... on PythonError { message }
    ... on Runs {
      results {
        runId
        jobName
        status
        updateTime
        tags { key value }
        stats { ... on RunStatsSnapshot { materializations } }
      }
    }
  }
}
"""

EVENTS = """
query Events($runId: ID!, $after: String) {
  logsForRun(runId: $runId, afterCursor: $after, limit: 1000) {
    __typename
    ... on RunNotFoundError { message }
    ... on PythonError { message }
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on LogMessageEvent { level message }
        ... on ExecutionStepOutputEvent {
          metadataEntries { label ... on JsonMetadataEntry { jsonString } }
        }
        ... on ExecutionStepFailureEvent {
          failureMetadata { description }
          error { message className causes { message className } }
        }
        ... on RunFailureEvent { message error { message } }
      }
    }
  }
}
"""

STATUSES = """
query Statuses($assets: [AssetKeyInput!]) {
  assetNodes(assetKeys: $assets) {
    assetKey { path }
    dependencyKeys { path }
    partitionKeys
    assetPartitionStatuses {
      ... on DefaultPartitionStatuses {
        materializedPartitions
        failedPartitions
        materializingPartitions
      }
    }
  }
}
"""

HEALTH = """
query Health {
  instance {
    daemonHealth {
      allDaemonStatuses { daemonType required lastHeartbeatTime }
    }
  }
}
"""


def latest_runs(pairs: list[tuple[str, str]]) -> tuple[str, dict[str, object]]:
    """A query for the newest run of each (asset, partition), as `at0`, `at1` …, and its variables."""
    names = [f"$asset{n}: AssetKeyInput!, $key{n}: String!" for n in range(len(pairs))]
    fields = [
        f"at{n}: assetNodeOrError(assetKey: $asset{n}) {{ ... on AssetNode "
        f"{{ latestRunForPartition(partition: $key{n}) {{ runId status }} }} }}"
        for n in range(len(pairs))
    ]
    variables: dict[str, object] = {}
    for n, (asset, key) in enumerate(pairs):
        variables[f"asset{n}"] = {"path": [asset]}
        variables[f"key{n}"] = key
    return f"query LatestRuns({', '.join(names)}) {{ {' '.join(fields)} }}", variables
