<?php
/**
 * The widget on the pages that visitors see.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * Whether the page that is being made is one where the owner wants the widget.
 *
 * @return bool
 */
function aerie_chat_is_shown() {
	$settings = aerie_chat_settings();
	$is_shown = $settings['enabled'] && ! aerie_chat_is_hidden_from_user( $settings );
	if ( $is_shown && 'chosen' === $settings['show'] ) {
		if ( is_front_page() ) {
			$is_shown = $settings['front_page'];
		} elseif ( is_singular() ) {
			$is_shown = in_array( get_post_type(), $settings['post_types'], true );
		} else {
			$is_shown = $settings['other_pages'];
		}
	}
	/**
	 * Decides whether the widget is on the page that is being made.
	 *
	 * @param bool $is_shown What the settings say.
	 */
	return (bool) apply_filters( 'aerie_chat_is_shown', $is_shown );
}

/**
 * Whether the owner does not want the one who asks to see the widget.
 *
 * @param array $settings From aerie_chat_settings().
 * @return bool
 */
function aerie_chat_is_hidden_from_user( array $settings ) {
	switch ( $settings['hide_from'] ) {
		case 'admins':
			return current_user_can( 'manage_options' );
		case 'members':
			return is_user_logged_in();
		default:
			return false;
	}
}

/**
 * What the owner chose instead of the agent's own appearance, as the widget reads it.
 *
 * @return array Attribute => value.
 */
function aerie_chat_appearance() {
	$settings = aerie_chat_settings();
	$chosen   = array(
		'data-title'    => $settings['title'],
		'data-color'    => $settings['color'],
		'data-position' => $settings['position'],
		'data-language' => 'site' === $settings['language'] ? substr( get_bloginfo( 'language' ), 0, 20 ) : $settings['language'],
	);
	return array_filter( $chosen, 'strlen' );
}

/**
 * Registers the script, and puts it on the page where it is wanted.
 */
function aerie_chat_enqueue() {
	$site = aerie_chat_site();
	if ( ! $site ) {
		return;
	}
	wp_register_script( 'aerie-chat', $site['server'] . '/widget.js', array(), null, true ); // phpcs:ignore WordPress.WP.EnqueuedResourceParameters.MissingVersion -- the server says how long it may be kept.
	if ( aerie_chat_is_shown() ) {
		wp_enqueue_script( 'aerie-chat' );
	}
}

/**
 * Gives the script its attributes. WordPress writes the element, so that filters for a Content-Security-Policy reach it.
 *
 * @param string $tag    What WordPress would print, with the scripts that other plugins put around it.
 * @param string $handle Whose.
 * @return string
 */
function aerie_chat_script_tag( $tag, $handle ) {
	$site = 'aerie-chat' === $handle ? aerie_chat_site() : array();
	if ( ! $site ) {
		return $tag;
	}
	$attributes = array(
		'src'             => $site['server'] . '/widget.js',
		'id'              => 'aerie-chat-js',
		'data-chatbot-id' => $site['chatbot_id'],
		'async'           => true,
	) + aerie_chat_appearance();
	return preg_replace_callback(
		'/<script\b[^>]*\ssrc=[^>]*><\/script>\s*/',
		static function () use ( $attributes ) {
			return wp_get_script_tag( $attributes );
		},
		$tag,
		1
	);
}

/**
 * [aerie_chat]: the chat as a part of the text. The widget makes no button where the same agent is in the page already.
 *
 * @return string
 */
function aerie_chat_shortcode() {
	$site = aerie_chat_site();
	if ( ! $site || is_feed() ) {
		return '';
	}
	wp_enqueue_script( 'aerie-chat' );
	$html = '<aerie-chat inline server="' . esc_url( $site['server'] ) . '" chatbot-id="' . esc_attr( $site['chatbot_id'] ) . '"';
	foreach ( aerie_chat_appearance() as $name => $value ) {
		$html .= ' ' . $name . '="' . esc_attr( $value ) . '"';
	}
	return $html . '></aerie-chat>';
}
