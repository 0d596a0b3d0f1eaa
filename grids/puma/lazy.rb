# Each worker loads the app by itself. Some versions of Puma load it before the fork where nothing is
# said, and no argument says otherwise.
preload_app! false
