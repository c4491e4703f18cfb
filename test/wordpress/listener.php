<?php
// A must-use plugin of the tests. WordPress itself has deprecations to tell of on a newer PHP than it knew, and warns that it cannot look
// for updates: so what goes wrong while aerie-chat is among those who call is marked in debug.log. That a class of WordPress is declared
// in an old way is nothing that its first user did.
set_error_handler(
	static function ( $level, $message, $file, $line ) {
		if ( 0 === strpos( $message, 'Return type of ' ) && false !== strpos( $file, '/wp-includes/' ) ) {
			return true;
		}
		foreach ( debug_backtrace( DEBUG_BACKTRACE_IGNORE_ARGS ) as $frame ) {
			if ( isset( $frame['file'] ) && false !== strpos( $frame['file'], '/plugins/aerie-chat/' ) ) {
				error_log( "[aerie-chat] $message in $file on line $line, called from {$frame['file']}:{$frame['line']}" );
				return true;
			}
		}
		return false;
	}
);
remove_action( 'admin_init', '_maybe_update_core' );
remove_action( 'admin_init', '_maybe_update_plugins' );
remove_action( 'admin_init', '_maybe_update_themes' );
